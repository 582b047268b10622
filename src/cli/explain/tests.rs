use super::script::{Piece, pieces};
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::{Dialect, SqlMode};

fn split(input: &str) -> Vec<(usize, String, Option<String>)> {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let dialect = Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server };
    pieces(input.as_bytes(), &dialect)
        .into_iter()
        .map(|Piece { line, sql, used }| (line, std::str::from_utf8(sql).unwrap().trim().to_owned(), used))
        .collect()
}

#[test]
fn statements_are_split_where_the_server_would_split_them() {
    let found = split("SELECT ';' -- ;\n, 1;;\n\nUSE `a b`;\n/*! SELECT 2 */;\nSELECT 3");
    let expected = [
        (1, "SELECT ';' -- ;\n, 1", None),
        (4, "USE `a b`", Some("a b")),
        (5, "/*! SELECT 2 */", None),
        (6, "SELECT 3", None),
    ];
    assert_eq!(found, expected.map(|(line, sql, used)| (line, sql.to_owned(), used.map(str::to_owned))));
    assert!(split(" \n;; -- nothing\n").is_empty());
}

#[test]
fn one_statement_that_cannot_be_read_does_not_hide_the_others() {
    let found = split("SELECT 1;\nSELECT 1.e;\n\nSELECT 'unclosed;\nSELECT 2;\n");
    let lines: Vec<_> = found.iter().map(|(line, sql, _)| (*line, sql.as_str())).collect();
    assert_eq!(lines, [(1, "SELECT 1"), (2, "SELECT 1.e"), (4, "SELECT 'unclosed"), (5, "SELECT 2")]);
}
