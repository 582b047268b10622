//! What stands in the way of a job, what should be known before it begins, and what it will cost.

use super::facts::{Column, Facts, Index, mentions, same};
use super::survey::{Rows, Survey};
use super::table::Table;
use crate::control::column_check::{canonical, guard, quoted};
use crate::control::counted;
use crate::policy::ProtectedColumn;
use crate::schema::ColumnRef;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Nothing is begun before it is put right.
    Blocks,
    /// Somebody should have thought of it.
    Warns,
    /// Good to know.
    Notes,
}

impl Weight {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Warns => "warns",
            Self::Notes => "notes",
        }
    }
}

/// Something that preflight found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub weight: Weight,
    /// The column, if it is about one.
    pub column: Option<ColumnRef>,
    /// What was found.
    pub text: String,
    /// What puts it right.
    pub remedy: Option<String>,
}

/// What is let pass on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Triggers that run for every changed row.
    pub triggers: bool,
}

/// Types whose values are text or bytes.
const TEXT_TYPES: [&str; 11] = [
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
];
const UTF8: [&str; 4] = ["utf8mb4", "utf8mb3", "utf8", "ascii"];

struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, weight: Weight, protected: Option<&ProtectedColumn>, text: String, remedy: Option<String>) {
        self.0.push(Remark { weight, column: protected.map(|column| column.column.clone()), text, remedy });
    }
}

/// Judges what the schema says.
pub(super) fn schema(facts: &Facts, columns: &[&ProtectedColumn], allowed: Allowed) -> Vec<Remark> {
    let mut remarks = Remarks(Vec::new());
    let table = format!("{}.{}", quoted(&facts.table.database), quoted(&facts.table.table));
    match &facts.engine {
        _ if facts.is_view => remarks.add(Weight::Blocks, None, format!("{table} is a view"), None),
        None => remarks.add(Weight::Blocks, None, format!("{table} does not exist, or may not be seen"), None),
        Some(engine) if !engine.eq_ignore_ascii_case("InnoDB") => {
            let remedy = format!("ALTER TABLE {table} ENGINE = InnoDB");
            let text = format!("{table} is kept by {engine}, which knows no transactions");
            remarks.add(Weight::Blocks, None, text, Some(remedy));
        }
        Some(_) => {}
    }
    if facts.keeps_past_rows {
        let text = format!(
            "{table} has system versioning: its past rows are no job's to convert, and keep plaintext and former keys"
        );
        let remedy = format!("ALTER TABLE {table} DROP SYSTEM VERSIONING, which deletes its past rows");
        remarks.add(Weight::Blocks, None, text, Some(remedy));
    }
    for protected in columns {
        let Some(column) = facts.column(&protected.column.column) else {
            remarks.add(Weight::Blocks, Some(protected), "does not exist, or may not be seen".to_owned(), None);
            continue;
        };
        of_type(&mut remarks, protected, column, &table);
        of_others(&mut remarks, facts, protected, column, &table);
        for index in &facts.indexes {
            of_index(&mut remarks, protected, index, &table);
        }
    }
    of_triggers(&mut remarks, facts, columns, allowed);
    let stamped: Vec<&str> =
        facts.columns.iter().filter(|column| column.extra.contains("on update")).map(|column| &*column.name).collect();
    if !stamped.is_empty() {
        let text = format!("ON UPDATE columns keep their values while rows are converted: {}", stamped.join(", "));
        remarks.add(Weight::Notes, None, text, None);
    }
    if facts.has_binary_log {
        let text =
            "the binary log gets every row before and after: it holds plaintext until its files are purged, and \
                    grows by about twice the converted columns. Replicas convert with it"
                .to_owned();
        remarks.add(Weight::Warns, None, text, Some("PURGE BINARY LOGS, after the job and the backups".to_owned()));
    }
    remarks.0
}

/// Judges what says whose the rows are that are sealed for each data subject, or what values are bound to.
pub(super) fn owner(table: &Table) -> Option<Remark> {
    let stated = table.stated.as_ref().filter(|stated| stated.form.is_none())?;
    let text = format!(
        "column {}, which policy names as `subject` or `bind`, does not exist or cannot say for certain whose a row is, or \
         which one: `candado check` says why",
        stated.name
    );
    Some(Remark { weight: Weight::Blocks, column: None, text, remedy: None })
}

fn of_type(remarks: &mut Remarks, protected: &ProtectedColumn, column: &Column, table: &str) {
    if !TEXT_TYPES.contains(&column.data_type.as_str()) {
        let text = format!("has type {}, whose values are no text", column.column_type);
        let remedy = format!("ALTER TABLE {table} MODIFY COLUMN {} VARCHAR(..)", quoted(&column.name));
        remarks.add(Weight::Blocks, Some(protected), text, Some(remedy));
    }
    if let Some(charset) = column.charset.as_ref().filter(|charset| !UTF8.contains(&charset.as_str())) {
        let text = format!("has character set {charset}; it is converted to utf8mb4 first, then to bytes");
        remarks.add(Weight::Notes, Some(protected), text, None);
    }
    if column.has_default {
        let text = "has a default value, which is dropped: the server would store it without sealing it".to_owned();
        remarks.add(Weight::Warns, Some(protected), text, None);
    }
    if !column.generation.is_empty()
        || column.extra.contains("generated") && !column.extra.contains("default_generated")
    {
        remarks.add(Weight::Blocks, Some(protected), "is a generated column".to_owned(), None);
    }
}

/// Things beside the column that read it.
fn of_others(remarks: &mut Remarks, facts: &Facts, protected: &ProtectedColumn, column: &Column, table: &str) {
    for other in facts.columns.iter().filter(|other| mentions(&other.generation, &column.name)) {
        let text = format!("is read by generated column {}, which would hold parts of envelopes", other.name);
        let remedy = format!("ALTER TABLE {table} DROP COLUMN {}", quoted(&other.name));
        remarks.add(Weight::Blocks, Some(protected), text, Some(remedy));
    }
    for (name, _) in facts.foreign_keys.iter().filter(|(_, key)| same(key, &column.name)) {
        let text = format!("belongs to foreign key {name}, whose two sides would not be equal any more");
        let remedy = format!("ALTER TABLE .. DROP FOREIGN KEY {}", quoted(name));
        remarks.add(Weight::Blocks, Some(protected), text, Some(remedy));
    }
    let ours = canonical(&guard(&column.name));
    let checks = facts.checks.iter().filter(|check| mentions(&check.clause, &column.name));
    for check in checks.filter(|check| canonical(&check.clause) != ours) {
        let text = format!("is judged by CHECK constraint {}, which no envelope meets", check.name);
        let remedy = format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(&check.name));
        remarks.add(Weight::Blocks, Some(protected), text, Some(remedy));
    }
}

fn of_index(remarks: &mut Remarks, protected: &ProtectedColumn, index: &Index, table: &str) {
    let name = &*protected.column.column;
    let drop = || Some(format!("ALTER TABLE {table} DROP INDEX {}", quoted(&index.name)));
    let in_expression =
        index.parts.iter().any(|part| part.expression.as_ref().is_some_and(|text| mentions(text, name)));
    if in_expression {
        let text = format!("is read by functional index {}", index.name);
        remarks.add(Weight::Blocks, Some(protected), text, drop());
    }
    if !index.parts.iter().any(|part| part.is(name)) {
        return;
    }
    match (index.name.as_str(), index.kind.as_str(), index.is_unique, &protected.index) {
        ("PRIMARY", _, _, _) => {
            remarks.add(Weight::Blocks, Some(protected), "is part of the primary key".to_owned(), None);
        }
        (_, "BTREE", true, None) => {
            let text = format!("has UNIQUE index {}, which keeps nothing unique without a blind index", index.name);
            let remedy = "give the column an `index` in policy, or drop the index".to_owned();
            remarks.add(Weight::Blocks, Some(protected), text, Some(remedy));
        }
        (_, "BTREE", false, None) if index.parts.len() == 1 => {
            let text = format!("has index {}, which is dropped: without a blind index it finds nothing", index.name);
            remarks.add(Weight::Warns, Some(protected), text, None);
        }
        (_, "BTREE", _, _) => {
            let text = format!("has index {}, which is replaced by one on the envelope's prefix", index.name);
            remarks.add(Weight::Notes, Some(protected), text, None);
        }
        (_, kind, _, _) => {
            let text = format!("has {kind} index {}, which cannot read envelopes", index.name);
            remarks.add(Weight::Blocks, Some(protected), text, drop());
        }
    }
}

fn of_triggers(remarks: &mut Remarks, facts: &Facts, columns: &[&ProtectedColumn], allowed: Allowed) {
    if !facts.sees_triggers {
        let text = "triggers of the table may not be seen by this account, so nothing is known of them".to_owned();
        let remedy = "GRANT TRIGGER on the table to the account".to_owned();
        remarks.add(Weight::Warns, None, text, Some(remedy));
    }
    for trigger in &facts.triggers {
        let named: Vec<&str> = columns
            .iter()
            .map(|protected| &*protected.column.column)
            .filter(|name| mentions(&trigger.body, name))
            .collect();
        let what = format!("trigger {} ({} {})", trigger.name, trigger.timing, trigger.event);
        if trigger.event == "UPDATE" {
            let weight = if allowed.triggers { Weight::Warns } else { Weight::Blocks };
            let text = format!("{what} runs for every row that is converted");
            let remedy = "drop it for the time of the job, or give --allow-triggers".to_owned();
            remarks.add(weight, None, text, Some(remedy));
        }
        if !named.is_empty() {
            let text = format!("{what} reads {}: it will see envelopes", named.join(", "));
            remarks.add(Weight::Warns, None, text, None);
        }
    }
}

/// Judges what the rows hold.
pub(super) fn rows(facts: &Facts, columns: &[&ProtectedColumn], surveys: &[Survey]) -> Vec<Remark> {
    let mut remarks = Remarks(Vec::new());
    let (mut before, mut after) = (0_u64, 0_u64);
    for (protected, survey) in columns.iter().zip(surveys) {
        let mut blocks = |rows: &Rows, what: &str, remedy: &str| {
            if rows.count > 0 {
                let text =
                    format!("{} {what}: {}{}", counted(rows.count, "row", "rows"), rows.first.join("; "), more(rows));
                remarks.add(Weight::Blocks, Some(protected), text, Some(remedy.to_owned()));
            }
        };
        blocks(
            &survey.too_long,
            "with a value longer than the type in policy",
            "widen `type` in policy, or mend the rows",
        );
        blocks(&survey.not_text, "with bytes that are no UTF-8", "mend the rows, or the column's character set");
        blocks(
            &survey.like_envelopes,
            "with a value that looks like an envelope already",
            "look where they come from: a value that somebody pasted would be opened later",
        );
        blocks(&survey.clashes, "with the value of another, once normalised, in a UNIQUE column", "mend the rows");
        if survey.twins.count > 0 {
            let text = format!(
                "{} of the UNIQUE column beginning like others up to the length of an envelope's prefix ({}{}): until all \
                 are sealed its index covers whole cells, which does not tell two envelopes of one value apart. The last \
                 statement finds values that were written twice meanwhile",
                counted(survey.twins.count, "value", "values"),
                survey.twins.first.join("; "),
                more(&survey.twins)
            );
            remarks.add(Weight::Warns, Some(protected), text, None);
        }
        if survey.is_incomplete {
            let text = "has too many values to look for all that clash".to_owned();
            remarks.add(Weight::Warns, Some(protected), text, None);
        }
        before = before.saturating_add(survey.octets);
        after = after.saturating_add(survey.octets_sealed);
        let text = format!(
            "{} and {} NULL; {} bytes become {}",
            counted(survey.values, "value", "values"),
            survey.nulls,
            survey.octets,
            survey.octets_sealed
        );
        remarks.add(Weight::Notes, Some(protected), text, None);
    }
    let now = facts.data_octets.saturating_add(facts.index_octets);
    let then = now.saturating_add(after.saturating_sub(before));
    let text = format!(
        "the table has about {now} bytes and will have about {then}; while it is rebuilt it needs room twice, and the undo \
         log grows with the walk"
    );
    remarks.add(Weight::Notes, None, text, None);
    remarks.0
}

fn more(rows: &Rows) -> String {
    let more = rows.count.saturating_sub(rows.first.len() as u64);
    if more == 0 { String::new() } else { format!("; and {more} more") }
}

/// Which columns must be unique by themselves.
pub(super) fn unique(facts: &Facts, columns: &[&ProtectedColumn]) -> Vec<bool> {
    let is_unique = |protected: &&ProtectedColumn| {
        protected.index.is_some()
            && facts.indexes.iter().any(|index| {
                index.is_unique
                    && index.parts.len() == 1
                    && index.parts.iter().any(|part| part.is(&protected.column.column))
            })
    };
    columns.iter().map(is_unique).collect()
}
