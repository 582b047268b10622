//! How UNION, INTERSECT and EXCEPT over protected columns are written: as UNION ALL in a nested query whose rows are grouped,
//! by the index prefixes of the protected columns, and by the other columns as they are, which the server compares as a set
//! operation does. The prefixes themselves come from whoever has keys, or has none and names them.

use super::SetRows;
use crate::schema::ServerKind;

/// What nested queries are called, and how the names of their columns begin: the operands stand deeper inside and cannot
/// see them. MariaDB mistakes a column of a nested query for another one of the same name at times, so these are not to be
/// anybody else's.
const ALIAS: &str = "candado";

/// What is written of a set operation.
#[derive(Debug, Default)]
pub struct SetTexts {
    /// Before the first operand.
    pub head: Vec<u8>,
    /// In the place of the operator.
    pub operator: Vec<u8>,
    /// Behind the last operand.
    pub tail: Vec<u8>,
}

/// A column as the texts have it.
#[derive(Clone, Debug)]
pub struct SetText {
    /// The quoted name of the result's column.
    pub name: Option<Vec<u8>>,
    /// What is equal where its values are, if that is not the column itself.
    pub tag: Option<Vec<u8>>,
}

/// The name of a column of the nested queries, by its position.
pub fn nested_column(position: usize) -> String {
    format!("{ALIAS}.{ALIAS}_{}", position.saturating_add(1))
}

/// What is written of a set operation over those columns.
pub fn set_texts(rows: SetRows, columns: &[SetText], server: ServerKind) -> SetTexts {
    let operator = b"UNION ALL".to_vec();
    let (open, close) = (nested_begin(columns.len(), server), nested_end(columns.len(), server));
    let head = shown(rows, columns, server);
    let having = match rows {
        SetRows::All => return SetTexts { operator, ..SetTexts::default() },
        SetRows::Different => {
            let tail = [close, grouped(columns)].concat();
            return SetTexts { head: [head, open].concat(), operator, tail };
        }
        SetRows::Common => format!(" HAVING MIN({ALIAS}.{ALIAS}_side) <> MAX({ALIAS}.{ALIAS}_side)"),
        SetRows::Left => format!(" HAVING MAX({ALIAS}.{ALIAS}_side) = 1"),
    };
    let names: Vec<String> = (0..columns.len()).map(nested_column).collect();
    let side = |number: &str| format!("SELECT {}, {number} AS {ALIAS}_side FROM ", names.join(", ")).into_bytes();
    SetTexts {
        head: [&head, b"(".as_slice(), &side("1"), &open].concat(),
        operator: [&close, b" UNION ALL ".as_slice(), &side("2"), &open].concat(),
        tail: [close, format!(") AS {ALIAS}").into_bytes(), grouped(columns), having.into_bytes()].concat(),
    }
}

/// The select list: of the columns that are grouped by something else than themselves, one of the values. Of rows that both
/// operands have, the left one's are shown.
fn shown(rows: SetRows, columns: &[SetText], server: ServerKind) -> Vec<u8> {
    let mut out = b"SELECT ".to_vec();
    for (position, column) in columns.iter().enumerate() {
        let nested = nested_column(position);
        let shown = match (&column.tag, rows, server) {
            (None, _, _) => nested,
            (Some(_), SetRows::Common, _) => format!("MIN(IF({ALIAS}.{ALIAS}_side = 1, {nested}, NULL))"),
            (Some(_), SetRows::All | SetRows::Different | SetRows::Left, ServerKind::MySql) => {
                format!("ANY_VALUE({nested})")
            }
            (Some(_), SetRows::All | SetRows::Different | SetRows::Left, ServerKind::MariaDb) => {
                format!("MIN({nested})")
            }
        };
        out.extend_from_slice(if position > 0 { b", " } else { b"" });
        out.extend_from_slice(shown.as_bytes());
        if let Some(name) = &column.name {
            out.extend_from_slice(b" AS ");
            out.extend_from_slice(name);
        }
    }
    out.extend_from_slice(b" FROM ");
    out
}

/// What opens a nested query around an operand. MariaDB has no names of columns behind a derived table, and a WITH in it
/// does not see those around it: a first operand without rows gives the names.
fn nested_begin(width: usize, server: ServerKind) -> Vec<u8> {
    match server {
        ServerKind::MySql => b"(".to_vec(),
        ServerKind::MariaDb => {
            let names: Vec<String> = (1..=width).map(|number| format!("NULL AS {ALIAS}_{number}")).collect();
            format!("(SELECT {} FROM DUAL WHERE FALSE UNION ALL ", names.join(", ")).into_bytes()
        }
    }
}

fn nested_end(width: usize, server: ServerKind) -> Vec<u8> {
    match server {
        ServerKind::MySql => {
            let names: Vec<String> = (1..=width).map(|number| format!("{ALIAS}_{number}")).collect();
            format!(") AS {ALIAS} ({})", names.join(", ")).into_bytes()
        }
        ServerKind::MariaDb => format!(") AS {ALIAS}").into_bytes(),
    }
}

fn grouped(columns: &[SetText]) -> Vec<u8> {
    let mut out = b" GROUP BY ".to_vec();
    for (position, column) in columns.iter().enumerate() {
        out.extend_from_slice(if position > 0 { b", " } else { b"" });
        match &column.tag {
            Some(tag) => out.extend_from_slice(tag),
            None => out.extend_from_slice(nested_column(position).as_bytes()),
        }
    }
    out
}
