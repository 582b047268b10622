mod shadow;
mod works;

use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::SqlMode;

fn dialect() -> Dialect {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server }
}

#[test]
fn the_statement_that_is_asked_about_is_found() {
    for (sql, expected) in [
        ("EXPLAIN CANDADO SELECT 1", Some("SELECT 1")),
        ("\n explain\tcandado /* why */ select 'x' -- y", Some("select 'x' -- y")),
        ("/* who */ EXPLAIN -- and\nCANDADO INSERT INTO t VALUES ('x')", Some("INSERT INTO t VALUES ('x')")),
        ("# who\nEXPLAIN CANDADO EXPLAIN SELECT 1", Some("EXPLAIN SELECT 1")),
        ("/*!80000 EXPLAIN CANDADO */ SELECT 1", Some("SELECT 1")),
        ("EXPLAIN CANDADO SELECT 'never closed", Some(" SELECT 'never closed")),
        // A table of that name.
        ("EXPLAIN candado", None),
        ("EXPLAIN candado;", None),
        ("EXPLAIN `candado` phone", None),
        ("DESCRIBE candado phone", None),
        ("EXPLAIN shop.candado", None),
        // Other statements.
        ("EXPLAIN SELECT 'EXPLAIN CANDADO' FROM candado", None),
        ("SELECT 'EXPLAIN CANDADO SELECT 1'", None),
        ("EXECUTE candado", None),
        ("", None),
        ("   ", None),
    ] {
        let found = asked(sql.as_bytes(), &dialect()).map(|found| std::str::from_utf8(found).unwrap());
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn a_reason_is_the_text_without_the_remedy() {
    let refusal =
        Refusal::Unsupported { subject: crate::plan::Subject::Data, construct: "ORDER BY", remedy: "sort it" };
    let explained = Explained::refused(&refusal, Audience::Client);
    let expected = [
        ("outcome", "refused"),
        ("error", "1235 (42000)"),
        ("reason", "ORDER BY is not supported for protected data"),
        ("remedy", "sort it"),
    ];
    assert_eq!(explained.parts(), expected.map(|(part, text)| (part, text.to_owned())));
    assert_eq!(explained.error.unwrap().text, refusal.to_string());
}

#[test]
fn the_rule_of_the_firewall_is_for_operators() {
    let refusal = Refusal::Firewall { rule: "stacked" };
    let text = |audience| Explained::refused(&refusal, audience).error.unwrap().text;
    assert_eq!(text(Audience::Client), "Access denied: statement refused by policy");
    assert_eq!(text(Audience::Operator), "Access denied: statement refused by policy (firewall rule stacked)");
}
