//! Compares protected columns with the live schema: is each one stored as bytes, long enough, guarded by a CHECK
//! constraint, and indexed where policy says that it is searched? Each finding carries the statement that puts it right.
//! What is asked of a column depends on its stage: one that is not sealed holds plaintext by right.
//!
//! Changes nothing, and says nothing about the rows that are already there.

use std::fmt;

use mysql_async::Row;

use super::{ControlError, Pool, Session};
use crate::crypto::Stage;
use crate::keys::Stages;
use crate::policy::ProtectedColumn;
use crate::schema::{Column, ColumnRef, SubjectForm, UnfitSubject};

const DOING: &str = "look at the protected columns";
/// The longest VARBINARY worth recommending: all of a row's VARBINARY columns share 65,535 bytes.
const VARBINARY_OCTETS_MAX: u64 = 16_383;
/// Capacity of each BLOB type.
const BLOBS: [(&str, u64); 3] = [("BLOB", 65_535), ("MEDIUMBLOB", 16_777_215), ("LONGBLOB", 4_294_967_295)];
/// The type of a table, as MariaDB tells it, whose past rows are kept.
pub(super) const PAST_ROWS_KEPT: &str = "SYSTEM VERSIONED";
/// The longest name of a constraint or index, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Something about a protected column that must be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The column.
    pub column: ColumnRef,
    /// What is wrong.
    pub problem: Problem,
    /// The statement that puts it right. `None` where no statement can know what is wanted.
    pub remedy: Option<String>,
}

/// What is wrong with a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The table or the column does not exist, or the control account may not see it.
    Missing,
    /// The table is a view; policy names base tables.
    IsView,
    /// The server keeps past rows of the table, in the forms and under the keys that they had.
    KeepsPastRows,
    /// The type does not keep bytes as they are.
    NotBytes {
        /// The type it has.
        found: String,
    },
    /// Envelopes of the longest value do not fit.
    TooShort {
        /// Bytes that the column holds.
        found: u64,
        /// Bytes that it must hold.
        needed: u64,
    },
    /// The column has a default value, which the server would store without sealing it.
    PlainDefault,
    /// Nothing in the server keeps plaintext out of the column.
    CheckMissing,
    /// The CHECK constraint exists but is switched off.
    CheckNotEnforced {
        /// Its name.
        constraint: String,
    },
    /// Policy gives the column a blind index, but no database index covers its prefix: every search reads all rows.
    IndexMissing {
        /// Bytes of the prefix.
        prefix_length: usize,
    },
    /// A UNIQUE index covers more than the prefix: equal values differ there, so it keeps nothing unique.
    UniqueIneffective {
        /// The index.
        index: String,
    },
    /// The column is at [`Stage::Plain`]: everything in it is plaintext.
    NotEncrypted,
    /// The column is between plaintext and envelopes, in either direction.
    Underway {
        /// Where it is.
        stage: Stage,
    },
    /// The column that says whose a row is, or what its values are bound to, is not there or cannot say it for certain.
    Stated {
        /// What it is called in policy.
        what: &'static str,
        /// Its name.
        name: String,
        /// Why it cannot. `None`: it does not exist.
        why: Option<UnfitSubject>,
    },
    /// A foreign key changes that column when another table's row changes.
    StatedFollows {
        /// What it is called in policy.
        what: &'static str,
        /// Its name.
        name: String,
        /// The constraint's name.
        constraint: String,
    },
    /// A CHECK constraint keeps plaintext out of a column that plaintext is written to.
    CheckInTheWay {
        /// Its name.
        constraint: String,
    },
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Statements fail, or values are not protected as policy wants it.
    Fault,
    /// A state that is known and works, but that nobody should stay in.
    Note,
}

impl Problem {
    /// How much it weighs.
    pub fn weight(&self) -> Weight {
        match self {
            Self::NotEncrypted | Self::Underway { .. } => Weight::Note,
            Self::Missing
            | Self::IsView
            | Self::KeepsPastRows
            | Self::NotBytes { .. }
            | Self::TooShort { .. }
            | Self::PlainDefault
            | Self::CheckMissing
            | Self::CheckNotEnforced { .. }
            | Self::IndexMissing { .. }
            | Self::UniqueIneffective { .. }
            | Self::Stated { .. }
            | Self::StatedFollows { .. }
            | Self::CheckInTheWay { .. } => Weight::Fault,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist, or the control account may not see it"),
            Self::IsView => f.write_str("belongs to a view; protect the column of the base table"),
            Self::KeepsPastRows => f.write_str(
                "belongs to a table with system versioning, whose past rows keep their plaintext and their former keys: drop \
                 the versioning, which deletes them",
            ),
            Self::NotBytes { found } => write!(f, "has type {found}, which does not keep bytes as they are"),
            Self::TooShort { found, needed } => write!(f, "holds {found} bytes; envelopes need up to {needed}"),
            Self::PlainDefault => f.write_str("has a default value, which would be stored unsealed"),
            Self::CheckMissing => f.write_str("has no CHECK constraint that keeps plaintext out"),
            Self::CheckNotEnforced { constraint } => write!(f, "has CHECK constraint {constraint}, but not enforced"),
            Self::IndexMissing { prefix_length } => {
                write!(f, "is searched but has no index on its first {prefix_length} bytes")
            }
            Self::UniqueIneffective { index } => {
                write!(f, "has UNIQUE index {index}, which does not end at the envelope's prefix and so never matches")
            }
            Self::Stated { what, name, why: Some(why) } => {
                write!(f, "has {what} {name}, which {why}: it cannot say for certain ")?;
                f.write_str(if *what == "bind" { "which row a value stands in" } else { "whose a row is" })
            }
            Self::Stated { what, name, why: None } => {
                write!(f, "has {what} {name}, which does not exist, or the control account may not see it")
            }
            Self::StatedFollows { what, name, constraint } => {
                write!(f, "has {what} {name}, which foreign key {constraint} changes in rows that were sealed before")
            }
            Self::NotEncrypted => f.write_str("is not encrypted yet: run `candado column encrypt`"),
            Self::Underway { stage } => {
                write!(f, "is {stage}: some of its values are plaintext until `candado column` has finished")
            }
            Self::CheckInTheWay { constraint } => {
                write!(f, "has CHECK constraint {constraint}, which keeps plaintext out, but is not sealed")
            }
        }
    }
}

/// Compares every column with the server's schema, at the stages that the key store tells. An empty list means that
/// nothing is missing.
pub async fn check_columns<'a>(
    pool: &Pool,
    columns: impl IntoIterator<Item = &'a ProtectedColumn> + Send,
    stages: &Stages,
) -> Result<Vec<Finding>, ControlError> {
    let mut session = pool.session(DOING, pool.catalog_timeout).await?;
    let mut findings = Vec::new();
    for protected in columns.into_iter().collect::<Vec<_>>() {
        let found = StoredColumn::load(&mut session, &protected.column).await?;
        let stage = stages.get(&protected.context).copied().unwrap_or_default();
        findings.extend(judge(protected, stage, found.as_ref()));
        if let Some(stated) = protected.stated().filter(|_| found.is_some()) {
            let what = if protected.bind.is_some() { "bind" } else { "subject" };
            let name = stated.to_string();
            let problem = match subject_form(&mut session, &protected.column, stated).await? {
                Some(Ok(_)) => match followed(&mut session, &protected.column, stated).await? {
                    Some(constraint) => Problem::StatedFollows { what, name, constraint },
                    None => continue,
                },
                Some(Err(why)) => Problem::Stated { what, name, why: Some(why) },
                None => Problem::Stated { what, name, why: None },
            };
            findings.push(Finding { column: protected.column.clone(), problem, remedy: None });
        }
    }
    Ok(findings)
}

/// Table type, data type, column type, bytes, nullable, default.
type ColumnRow = (String, String, String, Option<u64>, String, Option<String>);

/// A column as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredColumn {
    pub(super) is_view: bool,
    pub(super) keeps_past_rows: bool,
    pub(super) data_type: String,
    pub(super) column_type: String,
    pub(super) octets_max: Option<u64>,
    pub(super) nullable: bool,
    pub(super) default: Option<String>,
    pub(super) checks: Vec<Check>,
    pub(super) indexes: Vec<LeadingIndex>,
}

/// A CHECK constraint of the column's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) clause: String,
    pub(super) enforced: bool,
}

/// An index whose first part is the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeadingIndex {
    pub(super) name: String,
    pub(super) unique: bool,
    pub(super) parts: u64,
    /// Bytes of the column in the index. `None`: all of them.
    pub(super) octets: Option<u64>,
    pub(super) used: bool,
}

impl StoredColumn {
    async fn load(session: &mut Session, column: &ColumnRef) -> Result<Option<Self>, ControlError> {
        let names = (&*column.database, &*column.table, &*column.column);
        let rows: Vec<ColumnRow> = session
            .rows_with(
                "SELECT t.TABLE_TYPE, LOWER(c.DATA_TYPE), c.COLUMN_TYPE, c.CHARACTER_OCTET_LENGTH, c.IS_NULLABLE, \
                 c.COLUMN_DEFAULT FROM information_schema.COLUMNS c JOIN information_schema.TABLES t \
                 ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
                 WHERE c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ? AND c.COLUMN_NAME = ?",
                names,
            )
            .await?;
        let Some((table_type, data_type, column_type, octets_max, nullable, default)) = rows.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_view: table_type.contains("VIEW"),
            keeps_past_rows: table_type == PAST_ROWS_KEPT,
            data_type,
            column_type,
            octets_max,
            nullable: nullable == "YES",
            // MariaDB spells "no default" of a nullable column as the word NULL; MySQL as NULL itself.
            default: default.filter(|text| text != "NULL"),
            checks: checks(session, column).await?,
            indexes: indexes(session, column).await?,
        }))
    }
}

/// Data type, column type, character set, collation, nullable, extra.
type SubjectRow = (String, String, Option<String>, Option<String>, String, String);

/// How the column of that name, in the table of a protected one, says whose a row is. `None`: it does not exist.
pub(super) async fn subject_form(
    session: &mut Session,
    column: &ColumnRef,
    subject: &str,
) -> Result<Option<Result<SubjectForm, UnfitSubject>>, ControlError> {
    let rows: Vec<SubjectRow> = session
        .rows_with(
            "SELECT LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, LOWER(EXTRA) \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COLUMN_NAME = ?",
            (&*column.database, &*column.table, subject),
        )
        .await?;
    Ok(rows.into_iter().next().map(|(data_type, column_type, charset, collation, nullable, extra)| {
        SubjectForm::of(&Column {
            name: subject.into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            octets_max: None,
            charset: charset.map(Into::into),
            collation: collation.map(Into::into),
            nullable: nullable == "YES",
            extra: extra.into(),
        })
    }))
}

/// The foreign key by which the server changes the column of that name, in the table of a protected one, by itself.
async fn followed(session: &mut Session, column: &ColumnRef, stated: &str) -> Result<Option<String>, ControlError> {
    let found: Vec<String> = session
        .rows_with(
            "SELECT k.CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE k \
             JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA \
             AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME \
             WHERE k.TABLE_SCHEMA = ? AND k.TABLE_NAME = ? AND k.COLUMN_NAME = ? \
             AND r.UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')",
            (&*column.database, &*column.table, stated),
        )
        .await?;
    Ok(found.into_iter().next())
}

async fn checks(session: &mut Session, column: &ColumnRef) -> Result<Vec<Check>, ControlError> {
    // MySQL has ENFORCED in TABLE_CONSTRAINTS and no table name in CHECK_CONSTRAINTS; MariaDB the reverse. Selecting
    // all columns and reading by name serves both.
    let constraints: Vec<Row> = session
        .rows_with(
            "SELECT * FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
             AND CONSTRAINT_TYPE = 'CHECK'",
            (&*column.database, &*column.table),
        )
        .await?;
    let clauses: Vec<Row> = session
        .rows_with(
            "SELECT * FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?",
            (&*column.database,),
        )
        .await?;
    let mut found = Vec::new();
    for row in &constraints {
        let Some(Ok(name)) = row.get_opt::<String, _>("CONSTRAINT_NAME") else { continue };
        let enforced = !matches!(row.get_opt::<String, _>("ENFORCED"), Some(Ok(answer)) if answer == "NO");
        for clause in &clauses {
            let same_name = matches!(clause.get_opt::<String, _>("CONSTRAINT_NAME"), Some(Ok(other)) if other == name);
            let other_table = matches!(
                clause.get_opt::<String, _>("TABLE_NAME"),
                Some(Ok(table)) if !table.eq_ignore_ascii_case(&column.table)
            );
            if let (true, false, Some(Ok(clause))) =
                (same_name, other_table, clause.get_opt::<String, _>("CHECK_CLAUSE"))
            {
                found.push(Check { name: name.clone(), clause, enforced });
            }
        }
    }
    Ok(found)
}

async fn indexes(session: &mut Session, column: &ColumnRef) -> Result<Vec<LeadingIndex>, ControlError> {
    let rows: Vec<Row> = session
        .rows_with(
            "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
            (&*column.database, &*column.table),
        )
        .await?;
    let text = |row: &Row, name: &str| row.get_opt::<String, _>(name).and_then(Result::ok);
    let number = |row: &Row, name: &str| row.get_opt::<u64, _>(name).and_then(Result::ok);
    let mut found = Vec::new();
    for row in &rows {
        let is_column = text(row, "COLUMN_NAME").is_some_and(|name| name.eq_ignore_ascii_case(&column.column));
        let is_tree = text(row, "INDEX_TYPE").as_deref() == Some("BTREE");
        let (true, true, Some(1), Some(name)) =
            (is_column, is_tree, number(row, "SEQ_IN_INDEX"), text(row, "INDEX_NAME"))
        else {
            continue;
        };
        let parts = rows.iter().filter(|other| text(other, "INDEX_NAME").as_ref() == Some(&name)).count();
        found.push(LeadingIndex {
            unique: number(row, "NON_UNIQUE") == Some(0),
            parts: parts as u64,
            octets: number(row, "SUB_PART"),
            // MySQL says IS_VISIBLE, MariaDB says IGNORED.
            used: text(row, "IS_VISIBLE").as_deref() != Some("NO") && text(row, "IGNORED").as_deref() != Some("YES"),
            name,
        });
    }
    Ok(found)
}

/// Compares one column with policy.
pub(super) fn judge(protected: &ProtectedColumn, stage: Stage, stored: Option<&StoredColumn>) -> Vec<Finding> {
    let column = &protected.column;
    let finding = |problem, remedy| Finding { column: column.clone(), problem, remedy };
    let Some(stored) = stored else { return vec![finding(Problem::Missing, None)] };
    if stored.is_view {
        return vec![finding(Problem::IsView, None)];
    }
    let table = format!("ALTER TABLE {}.{}", quoted(&column.database), quoted(&column.table));
    let mut findings = Vec::new();
    if stored.keeps_past_rows {
        findings.push(finding(Problem::KeepsPastRows, None));
    }
    match stage {
        Stage::Sealed => {}
        Stage::Encrypting => findings.push(finding(Problem::Underway { stage }, None)),
        Stage::Plain | Stage::Decrypting => {
            let note = if stage == Stage::Plain { Problem::NotEncrypted } else { Problem::Underway { stage } };
            findings.push(finding(note, None));
            // The column is of the application's own type, or of the stored one: both take plaintext.
            findings.extend(guards(protected, stored).filter(|check| check.enforced).map(|check| {
                let remedy = format!("{table} DROP CONSTRAINT {}", quoted(&check.name));
                finding(Problem::CheckInTheWay { constraint: check.name.clone() }, Some(remedy))
            }));
            return findings;
        }
    }
    if let Some(problem) = type_problem(protected, stored) {
        findings.push(finding(problem, Some(format!("{table} MODIFY COLUMN {}", definition(protected, stored)))));
    }
    if stored.default.is_some() {
        let remedy = format!("{table} ALTER COLUMN {} DROP DEFAULT", quoted(&column.column));
        findings.push(finding(Problem::PlainDefault, Some(remedy)));
    }
    // The constraint is the end of an encryption: until then there is plaintext that it would refuse.
    let check = if stage == Stage::Sealed { check_problem(protected, stored) } else { None };
    findings.extend(check.map(|(problem, action)| finding(problem, Some(format!("{table} {action}")))));
    let prefix_length = protected.prefix_length();
    for index in stored.indexes.iter().filter(|index| index.unique && index.parts == 1) {
        if protected.index.is_none() || index.octets != Some(prefix_length as u64) {
            let remedy = protected.index.is_some().then(|| {
                format!(
                    "{table} DROP INDEX {name}, ADD UNIQUE INDEX {name} ({}({prefix_length}))",
                    quoted(&column.column),
                    name = quoted(&index.name),
                )
            });
            findings.push(finding(Problem::UniqueIneffective { index: index.name.clone() }, remedy));
        }
    }
    let covers = |index: &LeadingIndex| index.used && index.octets.is_none_or(|octets| octets >= prefix_length as u64);
    if protected.index.is_some() && !stored.indexes.iter().any(covers) {
        let name = object_name(column, "index");
        let remedy = format!("{table} ADD INDEX {} ({}({prefix_length}))", quoted(&name), quoted(&column.column));
        findings.push(finding(Problem::IndexMissing { prefix_length }, Some(remedy)));
    }
    findings
}

fn type_problem(protected: &ProtectedColumn, stored: &StoredColumn) -> Option<Problem> {
    // BINARY(n) is not among them: it fills up with zero bytes.
    let keeps_bytes = ["varbinary", "tinyblob", "blob", "mediumblob", "longblob"].contains(&stored.data_type.as_str());
    let needed = protected.envelope_octets_max();
    match stored.octets_max {
        Some(found) if keeps_bytes && found >= needed.min(BLOBS[2].1) => None,
        Some(found) if keeps_bytes => Some(Problem::TooShort { found, needed }),
        Some(_) | None => Some(Problem::NotBytes { found: stored.column_type.clone() }),
    }
}

/// The constraints that let only envelopes into the column.
fn guards<'a>(protected: &ProtectedColumn, stored: &'a StoredColumn) -> impl Iterator<Item = &'a Check> {
    let wanted = canonical(&guard(&protected.column.column));
    stored.checks.iter().filter(move |check| canonical(&check.clause) == wanted)
}

/// What is wrong with the constraint, and the action of ALTER TABLE that puts it right.
fn check_problem(protected: &ProtectedColumn, stored: &StoredColumn) -> Option<(Problem, String)> {
    let column = &protected.column;
    let matching: Vec<&Check> = guards(protected, stored).collect();
    match matching.first() {
        None => {
            let name = quoted(&object_name(column, "sealed"));
            Some((Problem::CheckMissing, format!("ADD CONSTRAINT {name} CHECK ({})", guard(&column.column))))
        }
        Some(_) if matching.iter().any(|check| check.enforced) => None,
        Some(check) => {
            let action = format!("ALTER CHECK {} ENFORCED", quoted(&check.name));
            Some((Problem::CheckNotEnforced { constraint: check.name.clone() }, action))
        }
    }
}

/// The column's definition with the type that it must have; NULL or NOT NULL stays.
fn definition(protected: &ProtectedColumn, stored: &StoredColumn) -> String {
    let null = if stored.nullable { "NULL" } else { "NOT NULL" };
    format!("{} {} {null}", quoted(&protected.column.column), envelope_type(protected))
}

/// The type that holds the column's longest envelope.
pub(super) fn envelope_type(protected: &ProtectedColumn) -> String {
    let needed = protected.envelope_octets_max();
    if needed <= VARBINARY_OCTETS_MAX {
        format!("VARBINARY({needed})")
    } else {
        let fitting = BLOBS.iter().find(|(_, octets)| *octets >= needed);
        fitting.map_or(BLOBS[2].0, |(name, _)| name).to_owned()
    }
}

/// The condition of the CHECK constraint: NULL, or the first four bytes of an envelope.
pub(super) fn guard(column: &str) -> String {
    let column = quoted(column);
    format!("{column} IS NULL OR SUBSTRING({column}, 1, 4) = 0xC1FE1D01")
}

/// A clause without what the servers spell differently: case, blanks, quotes, brackets, and the name of SUBSTRING.
pub(super) fn canonical(clause: &str) -> String {
    let bare: String = clause.to_lowercase().chars().filter(|c| !c.is_whitespace() && !"`()".contains(*c)).collect();
    bare.replace("substring", "substr")
}

/// A name for a constraint or an index, unique in the database, where MySQL keeps the names of constraints.
pub(super) fn object_name(column: &ColumnRef, what: &str) -> String {
    let name = format!("candado_{}_{}_{what}", column.table, column.column);
    if name.chars().count() <= NAME_CHARS_MAX {
        return name;
    }
    let digest = <sha2::Sha256 as sha2::Digest>::digest(column.to_string().as_bytes());
    format!("candado_{}_{what}", data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default()))
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests;
