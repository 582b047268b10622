//! Statistics that the server keeps of columns and indexes, for roles that do not see all values: the least, the greatest
//! and the most frequent ones as they are stored, and how many different ones there are.

use super::protected_names::fold;
use super::text::Text;
use super::{Refusal, other};
use crate::policy::{Access, ColumnId, Policy, RoleId};
use crate::sql::{StatementClass, TokenKind};

/// Tables that hold nothing else: MySQL's histograms, MariaDB's statistics of columns, InnoDB's of indexes.
const KEPT: [&str; 3] = ["column_statistics", "column_stats", "innodb_index_stats"];

/// What a decision about statistics needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statistics<'a> {
    pub(super) text: Text<'a>,
    pub(super) policy: &'a Policy,
    pub(super) role: RoleId,
    pub(super) default_database: Option<&'a str>,
}

impl Statistics<'_> {
    /// Refuses a statement that would show some of a value that the role does not see.
    pub(super) fn refusal(&self, class: StatementClass) -> Option<Refusal> {
        if class == StatementClass::Show && self.is_index_list() && self.names_hidden_table() {
            let construct = "SHOW INDEX, which tells how many different values there are,";
            let remedy = "select other columns than CARDINALITY from information_schema.STATISTICS";
            return Some(other::opaque(construct, remedy));
        }
        if sees_all(self.policy, self.role) {
            return None;
        }
        let (name, remedy) = self.text.names().find_map(|(at, name)| {
            let folded = fold(&name);
            let of_database = |database: &str| self.is_of(at, database);
            match &*folded {
                kept if KEPT.contains(&kept) => Some((name, "leave the table out")),
                "index_stats" if of_database("mysql") => Some((name, "leave the table out")),
                "statistics" if of_database("information_schema") && self.may_show_cardinality() => {
                    Some((name, "name the columns that you need, without CARDINALITY"))
                }
                _ => None,
            }
        })?;
        Some(other::unsupported(&name, "reading statistics of values", remedy))
    }

    /// `SHOW [EXTENDED] INDEX`, INDEXES or KEYS.
    fn is_index_list(&self) -> bool {
        const WORDS: &[&str] = &["INDEX", "INDEXES", "KEYS"];
        self.text.is_any(1, WORDS) || self.text.is(1, "EXTENDED") && self.text.is_any(2, WORDS)
    }

    /// Whether a table is named of which a column is hidden from the role.
    fn names_hidden_table(&self) -> bool {
        let names = |wanted: &str| self.text.names().any(|(_, name)| *fold(&name) == *fold(wanted));
        let is_default = |database: &str| self.default_database.is_some_and(|name| *fold(name) == *fold(database));
        (0_u32..).map(ColumnId).zip(self.policy.columns()).any(|(id, protected)| {
            let column = &protected.column;
            !is_plain(self.policy, self.role, id)
                && names(&column.table)
                && (names(&column.database) || is_default(&column.database))
        })
    }

    /// Whether the name at a position is that of a table of the database.
    fn is_of(&self, at: usize, database: &str) -> bool {
        let is_qualified = at > 0 && self.text.is_kind(at - 1, TokenKind::Dot);
        let qualifier = at.checked_sub(2).filter(|_| is_qualified).and_then(|before| self.text.name_at(before));
        match qualifier {
            Some(name) => *fold(&name) == *database,
            // MySQL takes `.table` for a table of the default database.
            None => self.default_database.is_some_and(|name| *fold(name) == *database),
        }
    }

    /// Whether a statement about `information_schema.STATISTICS` names the column CARDINALITY, or shows columns without
    /// naming them. COUNT(*) shows none.
    fn may_show_cardinality(&self) -> bool {
        let is_all = |at: usize| {
            let counts = self.text.is_kind(at.saturating_sub(1), TokenKind::LeftParen)
                && self.text.is_kind(at + 1, TokenKind::RightParen);
            self.text.is_kind(at, TokenKind::Star) && !counts || self.text.is(at, "TABLE")
        };
        self.text.names().any(|(_, name)| *fold(&name) == *"cardinality") || (0..self.text.tokens.len()).any(is_all)
    }
}

/// Whether nothing is hidden from a role.
pub(super) fn sees_all(policy: &Policy, role: RoleId) -> bool {
    (0_u32..).map(ColumnId).zip(policy.columns()).all(|(column, _)| is_plain(policy, role, column))
}

fn is_plain(policy: &Policy, role: RoleId, column: ColumnId) -> bool {
    policy.access(role, column).0 == Access::Plain
}
