//! A branch or sub-query that reads the server's own schemas, in a statement that is about something else.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::sql::tree::{Query, QueryBody, Statement, TableReference};
use crate::sql::walk::{self, Visitor};

pub(super) const RULE: Rule = Rule {
    id: RuleId("schema-probe"),
    summary: "a UNION branch or sub-query into a system schema from a statement about other tables",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT a, b FROM t WHERE id = 1 UNION SELECT table_name, table_schema FROM information_schema.tables",
        "SELECT a FROM t WHERE id = (SELECT COUNT(*) FROM mysql.user)",
        "UPDATE t SET a = (SELECT authentication_string FROM `mysql`.user LIMIT 1)",
        "DELETE FROM t WHERE EXISTS (SELECT 1 FROM performance_schema.threads)",
        "INSERT INTO t (a) VALUES ((SELECT table_name FROM information_schema.tables LIMIT 1))",
    ],
    passes: &[
        "SELECT table_name FROM information_schema.tables WHERE table_schema IN \
         (SELECT schema_name FROM information_schema.schemata)",
        "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'users')",
        "SELECT a FROM t WHERE note = 'information_schema.tables'",
        "SELECT t.sys FROM t",
        "INSERT INTO snapshot (name) SELECT table_name FROM information_schema.tables",
    ],
};

const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

fn matches(reading: &Reading<'_>) -> bool {
    let Some(statement) = reading.statement() else { return false };
    let own = own_tables(statement);
    let about_others = !own.is_empty() && !own.iter().any(|table| system(reading, table));
    let mut every = Tables(Vec::new());
    walk::statement(&mut every, statement);
    about_others && every.0.iter().any(|table| system(reading, table))
}

fn system(reading: &Reading<'_>, table: &TableReference) -> bool {
    match table {
        TableReference::Named { path, .. } => match path.parts.as_slice() {
            [database, _] => SYSTEM.iter().any(|name| reading.name(*database).eq_ignore_ascii_case(name)),
            _ => false,
        },
        TableReference::Join { left, right, .. } => system(reading, left) || system(reading, right),
        TableReference::Versioned { table, .. } => system(reading, table),
        TableReference::Parenthesised(list) => list.iter().any(|table| system(reading, table)),
        TableReference::Derived { .. } | TableReference::Function { .. } => false,
    }
}

/// The tables that the statement is about: FROM of its first SELECT, or the targets of a write.
fn own_tables(statement: &Statement) -> Vec<TableReference> {
    match statement {
        Statement::Query(query) => first_from(query),
        Statement::Insert(insert) => match &insert.source {
            crate::sql::tree::InsertSource::Query(query) => first_from(query),
            crate::sql::tree::InsertSource::Values(_) | crate::sql::tree::InsertSource::Set(_) => {
                vec![TableReference::Named { path: insert.table.clone(), alias: None, modifiers: None }]
            }
        },
        Statement::Update(update) => update.tables.clone(),
        Statement::Delete(delete) => delete.tables.clone(),
        Statement::Explain(inner) => own_tables(inner),
    }
}

fn first_from(query: &Query) -> Vec<TableReference> {
    match &query.body {
        QueryBody::Select(select) => select.from.clone(),
        QueryBody::SetOperation { left, .. } => first_from(left),
        QueryBody::Parenthesised(inner) => first_from(inner),
        QueryBody::Table(path) => {
            vec![TableReference::Named { path: path.clone(), alias: None, modifiers: None }]
        }
        QueryBody::Values(_) => Vec::new(),
    }
}

struct Tables<'t>(Vec<&'t TableReference>);

impl<'t> Visitor<'t> for Tables<'t> {
    fn table(&mut self, table: &'t TableReference) {
        self.0.push(table);
    }
}
