//! Changes many rows in one statement, each only if its cells are still what was read.

use zeroize::Zeroizing;

use super::position::{KeyPart, Position, push_hexadecimal};
use super::table::Table;
use crate::control::column_check::quoted;
use crate::schema::ServerKind;

/// Bytes of a cell, or NULL.
pub(super) type Cell = Option<Zeroizing<Vec<u8>>>;

/// A row with what was read and what it becomes. Cells that stay have equal bytes in both.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) position: Position,
    /// Old and new bytes, for each column of the job; `None` is NULL.
    pub(super) cells: Vec<(Cell, Cell)>,
    /// What the row says of whose it is, or what its values are bound to, as it was read; `None` if nothing is read of it.
    pub(super) stated: Option<Vec<u8>>,
}

impl Change {
    /// About the bytes that it takes in a statement.
    pub(super) fn octets(&self) -> usize {
        let length = |cell: &Cell| cell.as_ref().map_or(4, |bytes| bytes.len().saturating_mul(2));
        self.cells.iter().map(|(old, new)| length(old).saturating_add(length(new))).sum()
    }
}

/// `UPDATE (<changes>) AS d STRAIGHT_JOIN t ON <primary key> AND <what was read is there still> SET <cells>`. The list comes first
/// and every row of the table is found by its primary key; nothing else is locked. Old cells are compared as bytes,
/// which is how the columns of a job compare. The statement holds values in the clear and is wiped after use.
pub(super) fn statement(table: &Table, changes: &[Change]) -> Zeroizing<String> {
    let octets: usize = changes.iter().map(|change| change.octets().saturating_add(64)).sum();
    let mut sql = Zeroizing::new(String::with_capacity(octets.saturating_add(1024)));
    sql.push_str("UPDATE (SELECT ");
    let key = table.key.iter().enumerate().map(|(number, part)| format!("{} AS k{number}", part.specimen()));
    let cells = (0..table.columns.len()).map(|number| format!("x'' AS o{number}, x'' AS n{number}"));
    let stated = table.stated_expression();
    let specimen = stated.iter().map(|_| "x'' AS s".to_owned());
    sql.push_str(&key.chain(cells).chain(specimen).collect::<Vec<_>>().join(", "));
    sql.push_str(" FROM DUAL WHERE FALSE UNION ALL VALUES ");
    let row = match table.server {
        ServerKind::MySql => "ROW(",
        ServerKind::MariaDb => "(",
    };
    for (number, change) in changes.iter().enumerate() {
        sql.push_str(if number == 0 { "" } else { ", " });
        sql.push_str(row);
        push_row(&mut sql, &table.key, change);
        sql.push(')');
    }
    let same_key = table
        .key
        .iter()
        .enumerate()
        .map(|(number, part)| format!("t.{} = {}", quoted(&part.name), part.typed(&format!("d.k{number}"))));
    let columns = || table.columns.iter().enumerate();
    let as_read = columns().map(|(number, name)| format!("t.{} <=> d.o{number}", quoted(name)));
    let stated = stated.map(|expression| format!("{expression} <=> d.s"));
    let as_read = as_read.chain(stated);
    let set = columns().map(|(number, name)| format!("t.{} = d.n{number}", quoted(name)));
    let kept = table.stamped.iter().map(|name| format!("t.{name} = t.{name}", name = quoted(name)));
    sql.push_str(") AS d STRAIGHT_JOIN ");
    sql.push_str(&table.quoted());
    sql.push_str(" AS t ON ");
    sql.push_str(&same_key.chain(as_read).collect::<Vec<_>>().join(" AND "));
    sql.push_str(" SET ");
    sql.push_str(&set.chain(kept).collect::<Vec<_>>().join(", "));
    sql
}

fn push_row(sql: &mut String, key: &[KeyPart], change: &Change) {
    for (number, (part, value)) in key.iter().zip(&change.position.0).enumerate() {
        sql.push_str(if number == 0 { "" } else { ", " });
        sql.push_str(&part.value(value));
    }
    for cell in change.cells.iter().flat_map(|(old, new)| [old, new]) {
        sql.push_str(", ");
        match cell {
            Some(bytes) => push_hexadecimal(sql, bytes),
            None => sql.push_str("NULL"),
        }
    }
    if let Some(stated) = &change.stated {
        sql.push_str(", ");
        push_hexadecimal(sql, stated);
    }
}
