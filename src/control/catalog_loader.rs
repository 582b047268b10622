//! Loads the catalog from `information_schema`. Knows which rows are needed and what their absence means; reading the
//! texts of views and routines is the planner's work.
//!
//! Privileges are those of `keys-policy/schema.sql`. What the account may not see is missing from the snapshot, and
//! what it sees without its text has no definition: in both cases the planner assumes the worst.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mysql_async::Row;
use mysql_async::prelude::FromValue;

use super::{ControlError, Pool, Session};
use crate::schema::{
    Catalog, Column, GeneratedColumn, Routine, ServerKind, ServerVersion, Table, TableKind, TableRef, UniqueKey,
};

const DOING: &str = "load the catalog";

/// The server's own databases: no application data, thousands of columns.
const NOT_OURS: &str = "NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')";

/// Reads the catalog of one server.
#[derive(Clone, Debug)]
pub struct CatalogLoader {
    pool: Pool,
}

impl CatalogLoader {
    /// A loader over the control account's connections.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Loads a snapshot and gives it a version.
    ///
    /// A table's columns come in one answer, so a table is in the snapshot either whole or not at all; a change of the
    /// schema between two of the queries can leave a table out. An unknown name makes the proxy ask for another load.
    pub async fn load(&self, version: u64) -> Result<Catalog, ControlError> {
        let mut session = self.pool.session(DOING, self.pool.catalog_timeout).await?;
        let (server, lower_case_table_names) = server(&mut session).await?;
        let reserved_words = reserved_words(&mut session, server.kind).await?;
        // Columns first: a table that appears after them is left out instead of being known without columns.
        let (mut columns, generated) = columns(&mut session).await?;
        let mut definitions = view_definitions(&mut session).await?;
        let mut tables = Vec::with_capacity(columns.len());
        for (name, kind) in table_names(&mut session).await? {
            let Some(columns) = columns.remove(&name) else { continue };
            let definition = match kind {
                TableKind::Base => Some(Arc::from("")),
                TableKind::View => definitions.remove(&name),
            };
            tables.push(Table { name, kind, columns, definition });
        }
        let routines = routines(&mut session).await?;
        let keys = unique_keys(&mut session).await?;
        let catalog = Catalog::new(version, server, lower_case_table_names, reserved_words, tables, routines);
        Ok(catalog.with_unique_keys(keys).with_generated_columns(generated))
    }
}

/// A row's column by position, as the type that the query promises.
fn take<T: FromValue>(row: &mut Row, index: usize, what: &'static str) -> Result<T, ControlError> {
    match row.take_opt::<T, _>(index) {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) | None => Err(ControlError::Malformed { what }),
    }
}

fn text(row: &mut Row, index: usize, what: &'static str) -> Result<Arc<str>, ControlError> {
    take::<String>(row, index, what).map(Arc::from)
}

/// A text that the account may lack the right to read: NULL or empty then. A text that is not UTF-8 counts as unread;
/// one odd routine must not keep the whole catalog from loading.
fn definition(row: &mut Row, index: usize, what: &'static str) -> Result<Option<Arc<str>>, ControlError> {
    let bytes: Option<Vec<u8>> = take(row, index, what)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty()).map(Arc::from))
}

async fn server(session: &mut Session) -> Result<(ServerVersion, u8), ControlError> {
    let mut rows: Vec<Row> = session.rows("SELECT VERSION(), @@lower_case_table_names").await?;
    let row = rows.first_mut().ok_or(ControlError::Malformed { what: "no version" })?;
    let version = version(&take::<String>(row, 0, "version")?).ok_or(ControlError::Malformed { what: "version" })?;
    Ok((version, take(row, 1, "lower_case_table_names")?))
}

/// Reads the value of `VERSION()`, such as `9.7.4-2` or `10.11.18-MariaDB-0+deb12u1`.
pub(super) fn version(text: &str) -> Option<ServerVersion> {
    let kind = if text.to_ascii_lowercase().contains("mariadb") { ServerKind::MariaDb } else { ServerKind::MySql };
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).take(3).map(str::parse::<u32>);
    let mut part = |limit: u32| parts.next()?.ok().filter(|number| *number < limit);
    Some(ServerVersion { kind, number: part(1_000)? * 10_000 + part(100)? * 100 + part(100)? })
}

/// MySQL tells which of its keywords are reserved. MariaDB lists keywords without telling: the set stays empty, and the
/// lexer's own list counts.
async fn reserved_words(session: &mut Session, kind: ServerKind) -> Result<HashSet<Box<str>>, ControlError> {
    match kind {
        ServerKind::MariaDb => Ok(HashSet::new()),
        ServerKind::MySql => {
            let words: Vec<String> =
                session.rows("SELECT WORD FROM information_schema.KEYWORDS WHERE RESERVED = 1").await?;
            Ok(words.into_iter().map(|word| word.to_ascii_uppercase().into_boxed_str()).collect())
        }
    }
}

async fn table_names(session: &mut Session) -> Result<Vec<(TableRef, TableKind)>, ControlError> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA {NOT_OURS}"
    );
    let rows: Vec<Row> = session.rows(&sql).await?;
    rows.into_iter()
        .map(|mut row| {
            let name = TableRef::new(text(&mut row, 0, "TABLE_SCHEMA")?, text(&mut row, 1, "TABLE_NAME")?);
            // MariaDB also says SEQUENCE and SYSTEM VERSIONED: both have rows of their own.
            let kind = match &*text(&mut row, 2, "TABLE_TYPE")? {
                "VIEW" | "SYSTEM VIEW" => TableKind::View,
                _ => TableKind::Base,
            };
            Ok((name, kind))
        })
        .collect()
}

/// The columns of all tables, and those among them that the server makes from others. MariaDB says PERSISTENT for STORED in
/// some versions.
async fn columns(
    session: &mut Session,
) -> Result<(HashMap<TableRef, Vec<Column>>, Vec<GeneratedColumn>), ControlError> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_OCTET_LENGTH, \
         CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, EXTRA, GENERATION_EXPRESSION \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA {NOT_OURS} \
         ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
    );
    let rows: Vec<Row> = session.rows(&sql).await?;
    let mut tables: HashMap<TableRef, Vec<Column>> = HashMap::new();
    let mut generated = Vec::new();
    for mut row in rows {
        let name = TableRef::new(text(&mut row, 0, "TABLE_SCHEMA")?, text(&mut row, 1, "TABLE_NAME")?);
        let column = column(&mut row)?;
        let expression = definition(&mut row, 10, "GENERATION_EXPRESSION")?;
        let is_made = ["virtual", "stored", "persistent"].iter().any(|word| column.extra.contains(word));
        if is_made || expression.is_some() {
            generated.push(GeneratedColumn { table: name.clone(), column: column.name.clone(), expression });
        }
        tables.entry(name).or_default().push(column);
    }
    Ok((tables, generated))
}

fn column(row: &mut Row) -> Result<Column, ControlError> {
    Ok(Column {
        name: text(row, 2, "COLUMN_NAME")?,
        data_type: text(row, 3, "DATA_TYPE")?.to_lowercase().into(),
        column_type: text(row, 4, "COLUMN_TYPE")?,
        octets_max: take(row, 5, "CHARACTER_OCTET_LENGTH")?,
        charset: take::<Option<String>>(row, 6, "CHARACTER_SET_NAME")?.map(Arc::from),
        collation: take::<Option<String>>(row, 7, "COLLATION_NAME")?.map(Arc::from),
        nullable: &*text(row, 8, "IS_NULLABLE")? == "YES",
        extra: text(row, 9, "EXTRA")?.to_lowercase().into(),
    })
}

/// UNIQUE keys with their columns. A part that is an expression names no column; the server finds it by itself.
async fn unique_keys(session: &mut Session) -> Result<Vec<UniqueKey>, ControlError> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
         WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA {NOT_OURS} \
         ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
    );
    let rows: Vec<Row> = session.rows(&sql).await?;
    let mut keys: Vec<(Arc<str>, UniqueKey)> = Vec::new();
    for mut row in rows {
        let table = TableRef::new(text(&mut row, 0, "TABLE_SCHEMA")?, text(&mut row, 1, "TABLE_NAME")?);
        let name = text(&mut row, 2, "INDEX_NAME")?;
        let column = take::<Option<String>>(&mut row, 3, "COLUMN_NAME")?.map(Arc::from);
        match keys.last_mut() {
            Some((last, key)) if *last == name && key.table == table => key.columns.extend(column),
            Some(_) | None => keys.push((name, UniqueKey { table, columns: column.into_iter().collect() })),
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// Texts of the views whose text the account may read. The server gives an empty text for the others.
async fn view_definitions(session: &mut Session) -> Result<HashMap<TableRef, Arc<str>>, ControlError> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA {NOT_OURS}"
    );
    let rows: Vec<Row> = session.rows(&sql).await?;
    let mut definitions = HashMap::new();
    for mut row in rows {
        let name = TableRef::new(text(&mut row, 0, "TABLE_SCHEMA")?, text(&mut row, 1, "TABLE_NAME")?);
        if let Some(definition) = definition(&mut row, 2, "VIEW_DEFINITION")? {
            definitions.insert(name, definition);
        }
    }
    Ok(definitions)
}

/// Procedures, functions, triggers and events that the account sees.
async fn routines(session: &mut Session) -> Result<Vec<Routine>, ControlError> {
    let sql = format!(
        "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES \
         WHERE ROUTINE_SCHEMA {NOT_OURS} \
         UNION ALL SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA {NOT_OURS} \
         UNION ALL SELECT EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION FROM information_schema.EVENTS \
         WHERE EVENT_SCHEMA {NOT_OURS}"
    );
    let rows: Vec<Row> = session.rows(&sql).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Routine {
                database: text(&mut row, 0, "ROUTINE_SCHEMA")?,
                name: text(&mut row, 1, "ROUTINE_NAME")?,
                definition: definition(&mut row, 2, "ROUTINE_DEFINITION")?,
            })
        })
        .collect()
}
