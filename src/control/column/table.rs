//! What the engine must know of a table to walk it: its primary key, and the columns that it must not touch.

use std::sync::Arc;

use super::ColumnError;
use super::position::{KeyPart, PartKind, ordered};
use crate::control::column_check::{quoted, subject_form};
use crate::control::{ControlError, Session};
use crate::policy::ProtectedColumn;
use crate::schema::{ServerKind, SubjectForm, TableRef};

/// Columns of a table's primary key and of its row, as the walk uses them.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: TableRef,
    pub(super) server: ServerKind,
    /// The primary key in order.
    pub(super) key: Vec<KeyPart>,
    /// The protected columns of the job, by name.
    pub(super) columns: Vec<Arc<str>>,
    /// The column that says whose a row is, if a column of the job is sealed for each data subject, or that its values are
    /// bound to. It is read behind the protected ones.
    pub(super) stated: Option<Stated>,
    /// Columns that the server would set to the time of the change.
    pub(super) stamped: Vec<Arc<str>>,
    /// The server's estimate of the number of rows.
    pub(super) rows_estimate: u64,
}

/// What says whose a row is, or what its values are bound to.
#[derive(Clone, Debug)]
pub(super) struct Stated {
    pub(super) name: Arc<str>,
    /// How its values are read; `None` if it does not exist or cannot say it for certain.
    pub(super) form: Option<SubjectForm>,
}

/// Name, data type, column type, character set, collation, numeric precision, scale, datetime precision, bytes of a prefix.
type PartRow =
    (String, String, String, Option<String>, Option<String>, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

impl Table {
    /// Reads it. A table without a primary key, or with one that cannot be walked, is refused.
    pub(super) async fn load(session: &mut Session, columns: &[&ProtectedColumn]) -> Result<Self, ColumnError> {
        let Some(first) = columns.first() else { return Err(ColumnError::NoColumn) };
        let name = first.column.table_ref();
        let names = (&*name.database, &*name.table);
        let server = server_kind(session).await?;
        let parts: Vec<PartRow> = session
            .rows_with(
                "SELECT c.COLUMN_NAME, LOWER(c.DATA_TYPE), LOWER(c.COLUMN_TYPE), c.CHARACTER_SET_NAME, \
                 c.COLLATION_NAME, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.DATETIME_PRECISION, s.SUB_PART \
                 FROM information_schema.STATISTICS s JOIN information_schema.COLUMNS c \
                 ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME AND c.COLUMN_NAME = s.COLUMN_NAME \
                 WHERE s.TABLE_SCHEMA = ? AND s.TABLE_NAME = ? AND s.INDEX_NAME = 'PRIMARY' ORDER BY s.SEQ_IN_INDEX",
                names,
            )
            .await?;
        if parts.is_empty() {
            return Err(ColumnError::NoPrimaryKey { table: name });
        }
        let key = parts.into_iter().map(|part| key_part(part, &name)).collect::<Result<Vec<_>, _>>()?;
        let stated = match columns.iter().find_map(|column| column.stated().map(|name| (column, name))) {
            Some((column, name)) => {
                let form = subject_form(session, &column.column, name).await?;
                Some(Stated { name: name.clone(), form: form.and_then(Result::ok) })
            }
            None => None,
        };
        let stamped: Vec<String> = session
            .rows_with(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
                 AND LOWER(EXTRA) LIKE '%on update%'",
                names,
            )
            .await?;
        let estimate: Vec<Option<u64>> = session
            .rows_with(
                "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                names,
            )
            .await?;
        Ok(Self {
            server,
            key,
            columns: columns.iter().map(|column| column.column.column.clone()).collect(),
            stated,
            stamped: stamped.into_iter().map(Arc::from).collect(),
            rows_estimate: estimate.into_iter().next().flatten().unwrap_or(0),
            name,
        })
    }

    /// The table's name as it stands in a statement.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.name.database), quoted(&self.name.table))
    }

    /// Whose a row is, in the form that the key is found by, or what its values are bound to. `None`: nothing says so.
    pub(super) fn owner(&self, cells: &[Option<Vec<u8>>]) -> Option<Vec<u8>> {
        let form = self.stated.as_ref()?.form?;
        form.shown(cells.get(self.columns.len())?.as_deref()?)
    }

    /// How that is read of a row.
    pub(super) fn stated_expression(&self) -> Option<String> {
        let stated = self.stated.as_ref()?;
        let (before, behind) = stated.form?.cast();
        Some(format!("{before}t.{}{behind}", quoted(&stated.name)))
    }

    /// `SELECT <primary key> [, <protected columns> [, <whose it is, or what is bound>]] FROM .. WHERE <condition> ORDER BY <primary key>`.
    pub(super) fn select(&self, with: Selected, condition: &str) -> String {
        let mut list: Vec<String> = self.key.iter().map(KeyPart::selected).collect();
        match with {
            Selected::KeyOnly => {}
            Selected::KeyAndCells => {
                list.extend(self.columns.iter().map(|name| format!("t.{}", quoted(name))));
                list.extend(self.stated_expression());
            }
        }
        format!(
            "SELECT {} FROM {} AS t FORCE INDEX (PRIMARY) WHERE {condition} ORDER BY {}",
            list.join(", "),
            self.quoted(),
            ordered(&self.key)
        )
    }
}

/// What a page of rows is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// Positions alone.
    KeyOnly,
    /// Positions, the protected columns, and whose the row is or what its values are bound to.
    KeyAndCells,
}

/// Which product it is.
pub(super) async fn server_kind(session: &mut Session) -> Result<ServerKind, ControlError> {
    let version: Vec<String> = session.rows("SELECT VERSION()").await?;
    let is_maria = version.iter().any(|text| text.to_ascii_lowercase().contains("mariadb"));
    Ok(if is_maria { ServerKind::MariaDb } else { ServerKind::MySql })
}

fn key_part(row: PartRow, table: &TableRef) -> Result<KeyPart, ColumnError> {
    let (name, data_type, column_type, charset, collation, precision, scale, fraction, prefix) = row;
    let refused = |what: String| ColumnError::PrimaryKey { table: table.clone(), what };
    if prefix.is_some() {
        return Err(refused(format!("covers only the beginning of column {name}")));
    }
    let kind = match (data_type.as_str(), charset, collation) {
        ("tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year", _, _) => {
            if column_type.contains("unsigned") || data_type == "year" { PartKind::Unsigned } else { PartKind::Signed }
        }
        ("char" | "varchar", Some(charset), Some(collation)) => PartKind::Text { charset, collation },
        ("binary" | "varbinary", _, _) => PartKind::Bytes,
        ("decimal", _, _) => {
            PartKind::Cast(format!("DECIMAL({}, {})", precision.unwrap_or(65), scale.unwrap_or_default()))
        }
        ("date", _, _) => PartKind::Cast("DATE".to_owned()),
        ("datetime" | "timestamp", _, _) => PartKind::Cast(format!("DATETIME({})", fraction.unwrap_or_default())),
        ("time", _, _) => PartKind::Cast(format!("TIME({})", fraction.unwrap_or_default())),
        ("uuid", _, _) => PartKind::Cast("UUID".to_owned()),
        _ => return Err(refused(format!("has column {name} of type {column_type}"))),
    };
    Ok(KeyPart { name: name.into(), kind })
}
