//! What the server's schema says of a table whose columns are to be converted. Read once; judged by [`super::preflight`]
//! and turned into statements by [`super::ddl`].

use mysql_async::Row;

use super::table::server_kind;
use crate::control::column_check::PAST_ROWS_KEPT;
use crate::control::{ControlError, Session};
use crate::schema::{ServerKind, TableRef};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) table: TableRef,
    pub(super) server: ServerKind,
    /// `None` if there is no such table, or the account may not see it.
    pub(super) engine: Option<String>,
    pub(super) is_view: bool,
    /// Whether the server keeps past rows of it.
    pub(super) keeps_past_rows: bool,
    pub(super) rows: u64,
    pub(super) data_octets: u64,
    pub(super) index_octets: u64,
    pub(super) columns: Vec<Column>,
    pub(super) indexes: Vec<Index>,
    pub(super) triggers: Vec<Trigger>,
    /// Name and column of every foreign key that begins or ends here.
    pub(super) foreign_keys: Vec<(String, String)>,
    pub(super) checks: Vec<Check>,
    /// Whether changes go into a binary log.
    pub(super) has_binary_log: bool,
    /// Whether the account holds TRIGGER by itself; one that it has through a role does not show.
    pub(super) sees_triggers: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: String,
    pub(super) column_type: String,
    pub(super) octets_max: Option<u64>,
    pub(super) charset: Option<String>,
    pub(super) nullable: bool,
    pub(super) has_default: bool,
    pub(super) extra: String,
    pub(super) comment: String,
    pub(super) generation: String,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) is_unique: bool,
    /// `BTREE`, `FULLTEXT`, `SPATIAL`.
    pub(super) kind: String,
    pub(super) parts: Vec<Part>,
}

/// A part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `None` for an expression.
    pub(super) column: Option<String>,
    /// Length of a prefix, as the server counts it.
    pub(super) prefix: Option<u64>,
    pub(super) expression: Option<String>,
}

impl Part {
    pub(super) fn is(&self, name: &str) -> bool {
        self.column.as_ref().is_some_and(|column| same(column, name))
    }
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// `INSERT`, `UPDATE`, `DELETE`.
    pub(super) event: String,
    pub(super) timing: String,
    pub(super) body: String,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) clause: String,
}

/// Whether two names of columns are one.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Whether a text of SQL names something. Names in strings and comments count too: rather once too often.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.split(|c: char| !is_part(c)).any(|word| same(word, name))
        || (!name.chars().all(is_part) && text.contains(name))
}

impl Facts {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    /// Reads everything.
    pub(super) async fn load(session: &mut Session, table: &TableRef) -> Result<Self, ControlError> {
        let names = (&*table.database, &*table.table);
        let tables: Vec<Row> = session
            .rows_with("SELECT * FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", names)
            .await?;
        let found = tables.first();
        let text = |name: &str| found.and_then(|row| field::<String>(row, name));
        let number = |name: &str| found.and_then(|row| field::<u64>(row, name)).unwrap_or(0);
        let logs: Vec<u8> = session.rows("SELECT @@log_bin").await?;
        Ok(Self {
            table: table.clone(),
            server: server_kind(session).await?,
            is_view: text("TABLE_TYPE").is_some_and(|kind| kind.contains("VIEW")),
            keeps_past_rows: text("TABLE_TYPE").is_some_and(|kind| kind == PAST_ROWS_KEPT),
            engine: text("ENGINE"),
            rows: number("TABLE_ROWS"),
            data_octets: number("DATA_LENGTH"),
            index_octets: number("INDEX_LENGTH"),
            columns: columns(session, names).await?,
            indexes: indexes(session, names).await?,
            triggers: triggers(session, names).await?,
            foreign_keys: foreign_keys(session, names).await?,
            checks: checks(session, names).await?,
            has_binary_log: logs == [1],
            sees_triggers: sees_triggers(session, names).await?,
        })
    }
}

/// A column of a row by name, whose case differs between servers.
fn field<T: mysql_async::prelude::FromValue>(row: &Row, name: &str) -> Option<T> {
    row.get_opt::<Option<T>, _>(name).and_then(Result::ok).flatten()
}

async fn columns(session: &mut Session, names: (&str, &str)) -> Result<Vec<Column>, ControlError> {
    let rows: Vec<Row> = session
        .rows_with(
            "SELECT * FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
             ORDER BY ORDINAL_POSITION",
            names,
        )
        .await?;
    let text = |row: &Row, name: &str| field::<String>(row, name).unwrap_or_default();
    let columns = rows.iter().map(|row| Column {
        name: text(row, "COLUMN_NAME"),
        data_type: text(row, "DATA_TYPE").to_lowercase(),
        column_type: text(row, "COLUMN_TYPE"),
        octets_max: field(row, "CHARACTER_OCTET_LENGTH"),
        charset: field(row, "CHARACTER_SET_NAME"),
        nullable: text(row, "IS_NULLABLE") == "YES",
        // MariaDB spells "no default" of a nullable column as the word NULL.
        has_default: field::<String>(row, "COLUMN_DEFAULT").is_some_and(|default| default != "NULL"),
        extra: text(row, "EXTRA").to_lowercase(),
        comment: text(row, "COLUMN_COMMENT"),
        generation: text(row, "GENERATION_EXPRESSION"),
    });
    Ok(columns.collect())
}

async fn indexes(session: &mut Session, names: (&str, &str)) -> Result<Vec<Index>, ControlError> {
    let rows: Vec<Row> = session
        .rows_with(
            "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
             ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            names,
        )
        .await?;
    let mut found: Vec<Index> = Vec::new();
    for row in &rows {
        let name: String = field(row, "INDEX_NAME").unwrap_or_default();
        if found.last().is_none_or(|index| index.name != name) {
            found.push(Index {
                name,
                is_unique: field(row, "NON_UNIQUE") == Some(0_u64),
                kind: field(row, "INDEX_TYPE").unwrap_or_default(),
                parts: Vec::new(),
            });
        }
        let part = Part {
            column: field(row, "COLUMN_NAME"),
            prefix: field(row, "SUB_PART"),
            expression: field(row, "EXPRESSION"),
        };
        if let Some(index) = found.last_mut() {
            index.parts.push(part);
        }
    }
    Ok(found)
}

async fn triggers(session: &mut Session, names: (&str, &str)) -> Result<Vec<Trigger>, ControlError> {
    let rows: Vec<(String, String, String, Vec<u8>)> = session
        .rows_with(
            "SELECT TRIGGER_NAME, EVENT_MANIPULATION, ACTION_TIMING, ACTION_STATEMENT FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ?",
            names,
        )
        .await?;
    let triggers = rows.into_iter().map(|(name, event, timing, body)| Trigger {
        name,
        event,
        timing,
        // A body in another character set is searched for ASCII names all the same.
        body: body.into_iter().map(char::from).collect(),
    });
    Ok(triggers.collect())
}

/// Without the privilege the server shows no triggers, as if there were none.
async fn sees_triggers(session: &mut Session, names: (&str, &str)) -> Result<bool, ControlError> {
    let held: Vec<u64> = session
        .rows_with(
            "SELECT COUNT(*) FROM (SELECT GRANTEE AS grantee FROM information_schema.USER_PRIVILEGES \
             WHERE PRIVILEGE_TYPE = 'TRIGGER' UNION ALL SELECT GRANTEE FROM information_schema.SCHEMA_PRIVILEGES \
             WHERE PRIVILEGE_TYPE = 'TRIGGER' AND ? LIKE TABLE_SCHEMA UNION ALL \
             SELECT GRANTEE FROM information_schema.TABLE_PRIVILEGES \
             WHERE PRIVILEGE_TYPE = 'TRIGGER' AND TABLE_SCHEMA = ? AND TABLE_NAME = ?) AS held \
             WHERE REPLACE(grantee, \"'\", '') = CURRENT_USER()",
            (names.0, names.0, names.1),
        )
        .await?;
    Ok(held.first().is_some_and(|count| *count > 0))
}

async fn foreign_keys(session: &mut Session, names: (&str, &str)) -> Result<Vec<(String, String)>, ControlError> {
    session
        .rows_with(
            "SELECT CONSTRAINT_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND REFERENCED_TABLE_NAME IS NOT NULL \
             UNION SELECT CONSTRAINT_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE REFERENCED_TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME = ?",
            (names.0, names.1, names.0, names.1),
        )
        .await
}

async fn checks(session: &mut Session, names: (&str, &str)) -> Result<Vec<Check>, ControlError> {
    // MySQL's CHECK_CONSTRAINTS has no table's name, MariaDB's has; constraints have unique names on MySQL alone.
    let constraints: Vec<String> = session
        .rows_with(
            "SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = ? \
             AND TABLE_NAME = ? AND CONSTRAINT_TYPE = 'CHECK'",
            names,
        )
        .await?;
    let clauses: Vec<Row> = session
        .rows_with("SELECT * FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?", (names.0,))
        .await?;
    let mut found = Vec::new();
    for row in &clauses {
        let name: String = field(row, "CONSTRAINT_NAME").unwrap_or_default();
        let other = field::<String>(row, "TABLE_NAME").is_some_and(|table| !table.eq_ignore_ascii_case(names.1));
        if !other && constraints.contains(&name) {
            found.push(Check { name, clause: field(row, "CHECK_CLAUSE").unwrap_or_default() });
        }
    }
    Ok(found)
}
