use super::{Piece, general_log, pieces, sql_mode};
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::{Dialect, SqlMode};

fn split(input: &str) -> Vec<(usize, String, Option<String>)> {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let dialect = Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server };
    shown(pieces(input.as_bytes(), &dialect, None))
}

fn shown(pieces: Vec<Piece<'_>>) -> Vec<(usize, String, Option<String>)> {
    let text = |sql| std::str::from_utf8(sql).unwrap().trim().to_owned();
    let database = |name: Option<std::sync::Arc<str>>| name.map(|name| name.to_string());
    pieces.into_iter().map(|piece| (piece.line, text(piece.sql), database(piece.database))).collect()
}

#[test]
fn statements_are_split_where_the_server_would_split_them() {
    let found = split("SELECT ';' -- ;\n, 1;;\n\nUSE `a b`;\n/*! SELECT 2 */;\nSELECT 3");
    let expected = [
        (1, "SELECT ';' -- ;\n, 1", None),
        (4, "USE `a b`", None),
        (5, "/*! SELECT 2 */", Some("a b")),
        (6, "SELECT 3", Some("a b")),
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

#[test]
fn a_general_log_gives_what_clients_sent() {
    let log = "/usr/sbin/mysqld, Version: 9.7.4 (Source distribution). started with:\n\
        Tcp port: 3306  Unix socket: /tmp/mysql.sock\n\
        Time                 Id Command    Argument\n\
        2026-11-26T10:22:01.123456Z\t    8 Connect\troot@localhost on shop using TCP/IP\n\
        2026-11-26T10:22:01.123457Z\t    8 Query\tSELECT 1;\n\
        2026-11-26T10:22:01.123458Z\t   12 Connect\troot@localhost on  using TCP/IP\n\
        2026-11-26T10:22:01.123459Z\t   12 Query\tSELECT 'two\n\
        \tlines'\n\
        2026-11-26T10:22:01.123460Z\t   12 Init DB\tother\n\
        2026-11-26T10:22:01.123461Z\t   12 Prepare\tSELECT ?\n\
        2026-11-26T10:22:01.123462Z\t   12 Execute\tSELECT 'a'\n\
        2026-11-26T10:22:01.123463Z\t    8 Query\tSELECT 2\n\
        2026-11-26T10:22:01.123464Z\t    8 Quit\t\n";
    let expected = [
        (5, "SELECT 1;", Some("shop")),
        (7, "SELECT 'two\n\tlines'", None),
        (10, "SELECT ?", Some("other")),
        (12, "SELECT 2", Some("shop")),
    ];
    assert_eq!(
        shown(general_log::statements(log.as_bytes(), None)),
        expected.map(|(line, sql, database)| (line, sql.to_owned(), database.map(str::to_owned)))
    );
}

#[test]
fn mariadb_leaves_out_a_time_that_did_not_change() {
    let log = "Time\t\t    Id Command\tArgument\n\
        261126 10:22:01\t     8 Connect\troot@localhost as anonymous on shop\n\
        \t\t     8 Query\tSELECT 1\n\
        261126 10:22:02\t     8 Query\tSELECT 2\n";
    let expected = [(3, "SELECT 1", Some("shop")), (4, "SELECT 2", Some("shop"))];
    assert_eq!(
        shown(general_log::statements(log.as_bytes(), None)),
        expected.map(|(line, sql, database)| (line, sql.to_owned(), database.map(str::to_owned)))
    );
}

#[test]
fn other_texts_are_no_general_log() {
    for text in ["", "SELECT 1;\nSELECT 2;\n", "\t\t\t\n\t 8\n", "2026-11-26T10:22:01Z\t 8 Walk\tSELECT 1\n"] {
        assert!(general_log::statements(text.as_bytes(), None).is_empty(), "{text:?}");
    }
}

#[test]
fn a_mode_of_the_command_line_is_one_of_the_servers() {
    assert_eq!(sql_mode("ansi_quotes, No_Zero_Date"), Ok(SqlMode::ANSI_QUOTES));
    assert_eq!(sql_mode(""), Ok(SqlMode::empty()));
    let ansi = SqlMode::ANSI_QUOTES | SqlMode::PIPES_AS_CONCAT | SqlMode::IGNORE_SPACE;
    assert_eq!(sql_mode("ANSI"), Ok(ansi));
    assert_eq!(sql_mode("TRADITIONAL"), Ok(SqlMode::STRICT));
    let said = sql_mode("ANSI_QUOTE");
    assert_eq!(said, Err("`ANSI_QUOTE` is no SQL mode; did you mean `ANSI_QUOTES`?".to_owned()));
}
