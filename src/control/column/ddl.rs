//! The statements that a table needs before, between and after. Pure, from what the schema says; running them is at the
//! end.
//!
//! A UNIQUE index on the envelope's prefix tells equal values apart from others once they are sealed. Beside envelopes it
//! would also take two long values with one beginning for the same. Where there are such values the index covers whole
//! cells until all are sealed, and so it does on the way back.

use std::time::Duration;

use super::ColumnError;
use super::facts::{Column, Facts, Index, Part, same};
use crate::control::column_check::{canonical, envelope_type, guard, object_name, quoted};
use crate::control::{Backoff, ControlError, Pool};
use crate::policy::{LogicalType, ProtectedColumn, TextSize};
use crate::schema::ServerKind;

/// The longest key part that InnoDB takes, in bytes.
const KEY_OCTETS_MAX: u64 = 3072;
/// Characters of an index on TEXT.
const TEXT_INDEX_CHARS: u64 = 191;
/// Character sets whose bytes are UTF-8.
const UTF8: [&str; 4] = ["utf8mb4", "utf8mb3", "utf8", "ascii"];

/// What the indexes of a column cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The envelope's prefix.
    Prefix,
    /// The envelope's prefix, but whole cells where the index is UNIQUE.
    Whole,
    /// Values, in the column's own type.
    Values,
}

/// Before `encrypting`: text in UTF-8, then the type for envelopes with indexes for both.
pub(super) fn prepare(facts: &Facts, columns: &[&ProtectedColumn], shape: Shape) -> Vec<String> {
    let table = table(facts);
    let mut to_text = Vec::new();
    let mut actions = Vec::new();
    for protected in columns {
        let Some(column) = facts.column(&protected.column.column) else { continue };
        if column.charset.as_ref().is_some_and(|charset| !UTF8.contains(&charset.as_str())) {
            to_text.push(format!(
                "MODIFY COLUMN {} {} CHARACTER SET utf8mb4 {}",
                quoted(&column.name),
                column.column_type,
                rest(column)
            ));
        }
        if !fits(column, protected) || column.has_default {
            actions.push(format!(
                "MODIFY COLUMN {} {} {}",
                quoted(&column.name),
                envelope_type(protected),
                rest(column)
            ));
        }
    }
    actions.extend(indexes(facts, columns, shape));
    let alter = |actions: Vec<String>| (!actions.is_empty()).then(|| format!("{table} {}", actions.join(", ")));
    alter(to_text).into_iter().chain(alter(actions)).collect()
}

/// Before `sealed`: indexes for envelopes alone, and the constraint that keeps plaintext out.
pub(super) fn seal(facts: &Facts, columns: &[&ProtectedColumn]) -> Vec<String> {
    let mut actions = indexes(facts, columns, Shape::Prefix);
    for protected in columns {
        if guards(facts, protected).next().is_none() {
            let name = quoted(&object_name(&protected.column, "sealed"));
            actions.push(format!("ADD CONSTRAINT {name} CHECK ({})", guard(&protected.column.column)));
        }
    }
    alter(facts, &actions)
}

/// Before `decrypting`: no constraint, indexes for both.
pub(super) fn unseal(facts: &Facts, columns: &[&ProtectedColumn]) -> Vec<String> {
    let mut actions = Vec::new();
    for protected in columns {
        for name in guards(facts, protected) {
            let word = match facts.server {
                ServerKind::MySql => "CHECK",
                ServerKind::MariaDb => "CONSTRAINT",
            };
            actions.push(format!("DROP {word} {}", quoted(name)));
        }
    }
    actions.extend(indexes(facts, columns, Shape::Whole));
    alter(facts, &actions)
}

/// Before `plain` is all there is: the type that applications see, and indexes on it.
pub(super) fn restore(facts: &Facts, columns: &[&ProtectedColumn]) -> Vec<String> {
    let mut actions = Vec::new();
    for protected in columns {
        let Some(column) = facts.column(&protected.column.column) else { continue };
        if column.charset.is_none() {
            let collation = protected.collation.as_ref().map_or(String::new(), |name| format!(" COLLATE {name}"));
            actions.push(format!(
                "MODIFY COLUMN {} {} CHARACTER SET utf8mb4{collation} {}",
                quoted(&column.name),
                logical_type(protected),
                rest(column)
            ));
        }
    }
    actions.extend(indexes(facts, columns, Shape::Values));
    alter(facts, &actions)
}

/// The table as it is once [`prepare`]'s statements have run, to tell beforehand what [`seal`] will need.
pub(super) fn prepared(facts: &Facts, columns: &[&ProtectedColumn], shape: Shape) -> Facts {
    let mut after = facts.clone();
    after.indexes.retain_mut(|index| {
        let parts: Option<Vec<_>> = index.parts.iter().map(|part| shaped(columns, index, part, shape)).collect();
        match parts {
            Some(parts) if index.kind == "BTREE" => {
                for (part, (_, prefix)) in index.parts.iter_mut().zip(parts) {
                    part.prefix = prefix;
                }
                true
            }
            Some(_) | None => index.kind != "BTREE" || index.parts.len() > 1,
        }
    });
    for protected in columns.iter().filter(|protected| protected.index.is_some() && shape != Shape::Values) {
        if !is_covered(&after, protected) && !has_helper(&after, protected) {
            let (column, prefix) = (Some(protected.column.column.to_string()), Some(protected.prefix_length() as u64));
            let parts = vec![Part { column, prefix, expression: None }];
            after.indexes.push(Index { name: helper(protected), is_unique: false, kind: "BTREE".to_owned(), parts });
        }
    }
    after
}

fn table(facts: &Facts) -> String {
    format!("ALTER TABLE {}.{}", quoted(&facts.table.database), quoted(&facts.table.table))
}

fn alter(facts: &Facts, actions: &[String]) -> Vec<String> {
    if actions.is_empty() { Vec::new() } else { vec![format!("{} {}", table(facts), actions.join(", "))] }
}

/// What follows the type and stays as it is. A default value would be stored as it is written, so there is none.
fn rest(column: &Column) -> String {
    let mut text = if column.nullable { "NULL" } else { "NOT NULL" }.to_owned();
    if column.extra.contains("invisible") {
        text.push_str(" INVISIBLE");
    }
    if !column.comment.is_empty() {
        text.push_str(&format!(" COMMENT '{}'", column.comment.replace('\\', "\\\\").replace('\'', "''")));
    }
    text
}

/// Whether envelopes fit into the column as it is.
fn fits(column: &Column, protected: &ProtectedColumn) -> bool {
    let keeps_bytes = ["varbinary", "tinyblob", "blob", "mediumblob", "longblob"].contains(&column.data_type.as_str());
    // The largest BLOB is enough for whatever a client can send.
    let needed = protected.envelope_octets_max().min(u64::from(u32::MAX));
    keeps_bytes && column.octets_max.is_some_and(|octets| octets >= needed)
}

/// Names of the constraints that keep plaintext out of a column.
fn guards<'a>(facts: &'a Facts, protected: &'a ProtectedColumn) -> impl Iterator<Item = &'a str> {
    let wanted = canonical(&guard(&protected.column.column));
    facts.checks.iter().filter(move |check| canonical(&check.clause) == wanted).map(|check| check.name.as_str())
}

/// The actions that give every index on the columns its form.
fn indexes(facts: &Facts, columns: &[&ProtectedColumn], shape: Shape) -> Vec<String> {
    let mut actions = Vec::new();
    for index in &facts.indexes {
        let uses = |protected: &&&ProtectedColumn| index.parts.iter().any(|part| part.is(&protected.column.column));
        if index.kind != "BTREE" || !columns.iter().any(|protected| uses(&protected)) {
            continue;
        }
        actions.extend(reshaped(columns, index, shape));
    }
    for protected in columns.iter().filter(|protected| protected.index.is_some()) {
        let name = quoted(&helper(protected));
        match (is_covered(facts, protected), has_helper(facts, protected), shape) {
            (false, false, Shape::Prefix | Shape::Whole) => {
                let (column, length) = (quoted(&protected.column.column), protected.prefix_length());
                actions.push(format!("ADD INDEX {name} ({column}({length}))"));
            }
            (_, true, Shape::Values) => actions.push(format!("DROP INDEX {name}")),
            (true, true, Shape::Prefix) => actions.push(format!("DROP INDEX {name}")),
            (_, _, _) => {}
        }
    }
    actions
}

/// The name of the index that the engine makes for a column without one.
fn helper(protected: &ProtectedColumn) -> String {
    object_name(&protected.column, "index")
}

fn has_helper(facts: &Facts, protected: &ProtectedColumn) -> bool {
    facts.indexes.iter().any(|index| index.name == helper(protected))
}

/// Whether another index than the engine's own answers searches. A UNIQUE index on whole cells answers the ranges that they
/// ask for as well.
fn is_covered(facts: &Facts, protected: &ProtectedColumn) -> bool {
    let leads = |index: &Index| index.parts.first().is_some_and(|part| part.is(&protected.column.column));
    let helper = helper(protected);
    facts.indexes.iter().any(|index| leads(index) && index.kind == "BTREE" && index.name != helper)
}

/// The actions for one index: none if it is as it should be.
fn reshaped(columns: &[&ProtectedColumn], index: &Index, shape: Shape) -> Vec<String> {
    let is_helper =
        columns.iter().any(|protected| index.name == object_name(&protected.column, "index") && !index.is_unique);
    if is_helper && shape == Shape::Values {
        return Vec::new();
    }
    let parts: Option<Vec<(String, Option<u64>)>> =
        index.parts.iter().map(|part| shaped(columns, index, part, shape)).collect();
    let name = quoted(&index.name);
    // An index on one column that is not searched would find nothing.
    let is_useless = shape != Shape::Values && index.parts.len() == 1 && parts.is_none();
    if is_useless {
        return vec![format!("DROP INDEX {name}")];
    }
    let Some(parts) = parts else { return Vec::new() };
    let is_as_wanted = index.parts.iter().zip(&parts).all(|(part, (_, wanted))| part.prefix == *wanted);
    if is_as_wanted {
        return Vec::new();
    }
    let list: Vec<String> = parts
        .iter()
        .map(|(column, length)| {
            let length = length.map_or(String::new(), |length| format!("({length})"));
            format!("{}{length}", quoted(column))
        })
        .collect();
    let unique = if index.is_unique { "UNIQUE " } else { "" };
    vec![format!("DROP INDEX {name}"), format!("ADD {unique}INDEX {name} ({})", list.join(", "))]
}

/// A part's column and prefix. `None` if the part can serve nothing.
fn shaped(columns: &[&ProtectedColumn], index: &Index, part: &Part, shape: Shape) -> Option<(String, Option<u64>)> {
    let name = part.column.clone()?;
    let Some(protected) = columns.iter().find(|protected| same(&protected.column.column, &name)) else {
        return Some((name, part.prefix));
    };
    let prefix_length = protected.prefix_length() as u64;
    let envelope = protected.envelope_octets_max();
    let whole = (envelope > KEY_OCTETS_MAX).then_some(KEY_OCTETS_MAX);
    let length = match (shape, &protected.index) {
        (Shape::Values, _) => values_length(protected),
        (Shape::Whole, Some(_)) if index.is_unique => whole,
        (Shape::Prefix | Shape::Whole, Some(_)) => Some(prefix_length),
        // Beside other columns the first bytes, which are all alike, keep the index what it is for those.
        (Shape::Prefix | Shape::Whole, None) if index.parts.len() > 1 => Some(prefix_length),
        (Shape::Prefix | Shape::Whole, None) => return None,
    };
    Some((name, length))
}

/// The prefix that an index on values needs, in characters.
fn values_length(protected: &ProtectedColumn) -> Option<u64> {
    match protected.logical {
        LogicalType::Varchar { chars_max } if u64::from(chars_max) * 4 <= KEY_OCTETS_MAX => None,
        LogicalType::Varchar { .. } | LogicalType::Text(_) => Some(TEXT_INDEX_CHARS),
    }
}

fn logical_type(protected: &ProtectedColumn) -> String {
    match protected.logical {
        LogicalType::Varchar { chars_max } => format!("VARCHAR({chars_max})"),
        LogicalType::Text(TextSize::Tiny) => "TINYTEXT".to_owned(),
        LogicalType::Text(TextSize::Text) => "TEXT".to_owned(),
        LogicalType::Text(TextSize::Medium) => "MEDIUMTEXT".to_owned(),
        LogicalType::Text(TextSize::Long) => "LONGTEXT".to_owned(),
    }
}

/// A change of a table may rebuild it.
const LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Attempts to get the table for a moment; each waits five seconds for whoever uses it.
const ATTEMPTS_MAX: u32 = 60;
/// How to run a statement, the gentlest way first: writers go on, writers wait. What a server cannot do it refuses at
/// once.
const WAYS: [&str; 3] = ["ALGORITHM=INPLACE, LOCK=NONE", "ALGORITHM=COPY, LOCK=NONE", "ALGORITHM=COPY, LOCK=SHARED"];
/// "Not supported in this way", with and without a reason.
const NOT_THIS_WAY: [u16; 2] = [1845, 1846];

/// Runs a statement in the gentlest way that the server knows, and returns that way. It waits a short time for the table
/// and then tries again, so that the application's statements do not queue up behind it.
pub(super) async fn run(pool: &Pool, statement: &str) -> Result<&'static str, ColumnError> {
    let mut backoff = Backoff::new();
    let mut ways = WAYS.iter();
    let mut way = ways.next().copied().unwrap_or_default();
    let mut attempts = 0_u32;
    loop {
        let mut session = pool.session("change the table", LIMIT).await?;
        match session.execute(&format!("{statement}, {way}")).await {
            Ok(_) => return Ok(way),
            Err(ControlError::Refused { code, .. }) if NOT_THIS_WAY.contains(&code) && ways.len() > 0 => {
                way = ways.next().copied().unwrap_or_default();
                continue;
            }
            Err(error) => {
                let error = ColumnError::from(error);
                attempts = attempts.saturating_add(1);
                if !error.is_passing() || attempts > ATTEMPTS_MAX {
                    return Err(error);
                }
            }
        }
        backoff.wait().await;
    }
}
