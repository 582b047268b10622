//! The servers judge how Candado reads SQL: whether a statement is valid, how operators bind, and
//! where words begin and end.
//!
//! The statements of `tests/data/sql` are of our own wording; each file may name an SQL mode in its first line.
#![allow(clippy::print_stderr, reason = "the figures are what a reader of the log wants")]

mod differences;
mod expressions;
mod mysqltest;
mod soups;
mod suites;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use candado::schema::{Charset, ServerKind, ServerVersion};
use candado::sql::{Dialect, ReservedWords, SqlMode, Token, TokenKind, lex, name, parenthesised, parse};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Value};

use crate::support::server::{Kind, Server};
use differences::{Difference, known};
use expressions::Expressions;
use soups::Soups;

crate::support::on_each_server!(
    a_statement_is_read_exactly_when_the_server_takes_it,
    operators_in_parentheses_of_our_tree_give_the_same_values,
);

const FILES: &[(&str, &str)] = &[
    ("select.sql", include_str!("../data/sql/select.sql")),
    ("joins.sql", include_str!("../data/sql/joins.sql")),
    ("change.sql", include_str!("../data/sql/change.sql")),
    ("expressions.sql", include_str!("../data/sql/expressions.sql")),
    ("functions.sql", include_str!("../data/sql/functions.sql")),
    ("lexical.sql", include_str!("../data/sql/lexical.sql")),
    ("modes.sql", include_str!("../data/sql/modes.sql")),
    ("ignore_space.sql", include_str!("../data/sql/ignore_space.sql")),
];
/// Error codes that say that a statement is no SQL: ER_PARSE_ERROR and ER_SYNTAX_ERROR.
const SYNTAX_ERRORS: [u16; 2] = [1064, 1149];
/// Expressions for each server and mode, unless `CANDADO_EXPRESSIONS` says so.
const EXPRESSIONS: usize = 1_200;
/// Soups of tokens for each mode, unless `CANDADO_SOUPS` says so.
const SOUPS: usize = 1_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A connection with the dialect that its statements are read in.
struct Session {
    conn: Conn,
    dialect: Dialect,
    tokens: Vec<Token>,
}

impl Session {
    async fn open(kind: Kind) -> Self {
        Self::open_on(Server::start(kind)).await
    }

    async fn open_on(server: &Server) -> Self {
        let options = OptsBuilder::default()
            .ip_or_hostname(server.host.clone())
            .tcp_port(server.port)
            .user(Some("root"))
            .db_name(Some(server.database("oracle")))
            .prefer_socket(Some(false));
        let mut conn = Conn::new(options).await.unwrap();
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
        let version: String = conn.query_first("SELECT VERSION()").await.unwrap().unwrap();
        let kind = match server.kind {
            Kind::MySql => ServerKind::MySql,
            Kind::MariaDb => ServerKind::MariaDb,
        };
        let number = version
            .split(|c: char| !c.is_ascii_digit())
            .take(3)
            .fold(0, |number, part| number * 100 + part.parse::<u32>().unwrap());
        let server = ServerVersion { kind, number };
        let dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server };
        Self { conn, dialect, tokens: Vec::new() }
    }

    async fn set_mode(&mut self, mode: &str) {
        self.dialect.mode = SqlMode::from_variable(mode);
        self.conn.query_drop(format!("SET sql_mode = '{mode}'")).await.unwrap();
    }

    /// Our reading of a statement, printed with all parentheses; what is wrong with it if we do not read it.
    fn read(&mut self, sql: &str) -> Result<String, String> {
        let sql = sql.as_bytes();
        lex(sql, &self.dialect, &mut self.tokens).map_err(|error| error.to_string())?;
        let reserved = ReservedWords::Default(self.dialect.server.kind);
        let statement = parse(sql, &self.tokens, &self.dialect, &reserved).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(parenthesised(sql, &self.tokens, &statement)).unwrap())
    }

    /// The statement's rows, or the error's code.
    async fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Value>>, u16> {
        match self.conn.query::<mysql_async::Row, _>(sql).await {
            Ok(rows) => Ok(rows.into_iter().map(mysql_async::Row::unwrap).collect()),
            Err(mysql_async::Error::Server(error)) => Err(error.code),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Whether the server takes the statement as SQL, whatever else it may have against it.
    async fn takes(&mut self, sql: &str) -> bool {
        let prepare = format!("PREPARE s FROM {}", self.quoted(sql));
        self.ask(&prepare).await.map_or_else(|code| !SYNTAX_ERRORS.contains(&code), |_| true)
    }

    /// The text as a string literal in the session's mode.
    fn quoted(&self, text: &str) -> String {
        let text = text.replace('\'', "''");
        let backslash_escapes = !self.dialect.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        format!("'{}'", if backslash_escapes { text.replace('\\', "\\\\") } else { text })
    }
}

/// The SQL mode and the statements of a file.
fn statements(file: &'static str) -> (&'static str, impl Iterator<Item = &'static str>) {
    let (mode, text) = match file.strip_prefix("-- sql_mode: ") {
        Some(rest) => rest.split_once('\n').unwrap(),
        None => ("", file),
    };
    (mode, text.strip_suffix(";\n").unwrap().split(";\n"))
}

async fn a_statement_is_read_exactly_when_the_server_takes_it(kind: Kind) {
    let mut session = Session::open(kind).await;
    let (mut taken, mut refused) = (0, 0);
    let mut seen = BTreeSet::new();
    let mut wrong = String::new();
    for (file, text) in FILES {
        let (mode, statements) = statements(text);
        session.set_mode(mode).await;
        for sql in statements {
            let theirs = session.takes(sql).await;
            *(if theirs { &mut taken } else { &mut refused }) += 1;
            let found = match (session.read(sql), theirs) {
                (Ok(_), true) | (Err(_), false) => continue,
                (Ok(_), false) => Difference::WeRead,
                (Err(_), true) => Difference::WeRefuse,
            };
            if known(kind, sql) == Some(found) {
                seen.insert(sql);
            } else {
                writeln!(wrong, "{file}: {found:?}: {sql}").unwrap();
            }
        }
    }
    eprintln!("{kind:?}: {taken} statements taken, {refused} refused, {} known differences", seen.len());
    assert!(wrong.is_empty(), "{kind:?} differs:\n{wrong}");
    let gone: Vec<_> = differences::of(kind).filter(|sql| !seen.contains(sql)).collect();
    assert!(gone.is_empty(), "{kind:?}: listed and no difference any more: {gone:#?}");
    assert!(taken >= 300 && refused >= 150, "{taken} and {refused}: the corpus covers both sides");
}

async fn operators_in_parentheses_of_our_tree_give_the_same_values(kind: Kind) {
    let mut session = Session::open(kind).await;
    session.conn.query_drop(expressions::TABLE).await.unwrap();
    session.conn.query_drop(expressions::ROWS).await.unwrap();
    let count = number("CANDADO_EXPRESSIONS", EXPRESSIONS);
    for mode in ["", "PIPES_AS_CONCAT", "HIGH_NOT_PRECEDENCE"] {
        session.set_mode(mode).await;
        let mut expressions = Expressions::new(2);
        let (mut values, mut errors, mut invalid, mut unread) = (0, 0, 0, 0);
        for _ in 0..count {
            let sql = expressions.next_statement();
            let written = session.ask(&sql).await;
            let is_valid = written != Err(SYNTAX_ERRORS[0]);
            let printed = match session.read(&sql) {
                Ok(_) if !is_valid => panic!("{kind:?} {mode:?}: read and not valid: {sql}"),
                Ok(printed) => printed,
                Err(_) if !is_valid => {
                    invalid += 1;
                    continue;
                }
                Err(error) => {
                    assert!(may_stay_unread(kind, &sql), "{kind:?} {mode:?}: {error}: {sql}");
                    unread += 1;
                    continue;
                }
            };
            let again = session.ask(&printed).await;
            assert_eq!(written, again, "{kind:?} {mode:?}:\n{sql}\n{printed}");
            *(if written.is_ok() { &mut values } else { &mut errors }) += 1;
        }
        eprintln!(
            "{kind:?} {mode:?}: {values} equal values, {errors} equal errors, {invalid} invalid, {unread} unread"
        );
        assert!(values >= count / 2, "{values}: too few tell anything");
    }
}

/// MariaDB takes predicates in a chain (`a LIKE b IN (c)`), which no client writes: we refuse them.
fn may_stay_unread(kind: Kind, sql: &str) -> bool {
    const PREDICATES: [&str; 5] = ["LIKE", "IN", "BETWEEN", "REGEXP", "RLIKE"];
    let predicates = sql.split([' ', '(', ')']).filter(|word| PREDICATES.contains(word)).count();
    kind == Kind::MariaDb && predicates >= 2
}

/// MySQL shows how its lexer cut a statement: names in backticks, keywords, signs, and `?` or `...` for values.
#[test]
fn words_begin_and_end_where_the_server_sees_them() {
    crate::support::block_on(async {
        let mut session = Session::open(Kind::MySql).await;
        let mut compared = 0;
        let mut wrong = String::new();
        for (file, text) in FILES {
            let (mode, statements) = statements(text);
            session.set_mode(mode).await;
            for sql in statements {
                let ask = format!("SELECT STATEMENT_DIGEST_TEXT({})", session.quoted(sql));
                let Ok(rows) = session.ask(&ask).await else { continue };
                let [Value::Bytes(digest)] = rows[0].as_slice() else { panic!("{sql}: {rows:?}") };
                let digest = std::str::from_utf8(digest).unwrap();
                let agrees = match lex(sql.as_bytes(), &session.dialect, &mut session.tokens) {
                    Ok(()) => our_words(sql, &session.tokens) == their_words(digest),
                    Err(_) => known(Kind::MySql, sql) == Some(Difference::WeRefuse),
                };
                if !agrees {
                    writeln!(wrong, "{file}: {sql}\n    {digest}").unwrap();
                }
                compared += 1;
            }
        }
        eprintln!("{compared} statements have the server's words");
        assert!(wrong.is_empty(), "words differ:\n{wrong}");
        assert!(compared >= 300, "{compared}");
    });
}

/// The same for soups, in every mode that changes how they are cut. What the server cannot parse tells nothing; what we
/// refuse to cut is counted by the reason.
#[test]
fn soups_are_cut_as_the_server_cuts_them() {
    crate::support::block_on(async {
        let mut session = Session::open(Kind::MySql).await;
        let count = number("CANDADO_SOUPS", SOUPS);
        let (mut compared, mut unread) = (0, 0);
        let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (seed, mode) in (1..).zip([
            "",
            "ANSI_QUOTES",
            "NO_BACKSLASH_ESCAPES",
            "PIPES_AS_CONCAT",
            "IGNORE_SPACE",
            "HIGH_NOT_PRECEDENCE",
        ]) {
            session.set_mode(mode).await;
            let mut soups = Soups::new(seed);
            for _ in 0..count {
                let sql = soups.next_statement();
                let ask = format!("SELECT STATEMENT_DIGEST_TEXT({})", session.quoted(&sql));
                let Ok(rows) = session.ask(&ask).await else {
                    unread += 1;
                    continue;
                };
                let [Value::Bytes(digest)] = rows[0].as_slice() else { panic!("{sql}: {rows:?}") };
                match lex(sql.as_bytes(), &session.dialect, &mut session.tokens) {
                    Ok(()) => {
                        compared += 1;
                        let digest = std::str::from_utf8(digest).unwrap();
                        if our_words(&sql, &session.tokens) != their_words(digest) {
                            wrong.push(format!("{mode:?}: {sql:?}\n    {digest}"));
                        }
                    }
                    Err(error) => {
                        let error = error.to_string();
                        let reason = error.split(" at byte").next().unwrap().to_owned();
                        *refusals.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        eprintln!("{compared} soups have the server's words, {unread} are no statement, refused: {refusals:#?}");
        assert!(wrong.is_empty(), "{} differ, such as\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
        assert!(compared * 4 >= count, "{compared}: too few tell anything");
    });
}

fn our_words(sql: &str, tokens: &[Token]) -> Vec<String> {
    const NAMES: [TokenKind; 4] =
        [TokenKind::Word, TokenKind::Identifier, TokenKind::QuotedIdentifier, TokenKind::SystemVariable];
    let word = |token: &Token| {
        if NAMES.contains(&token.kind) {
            return Some(canonical(&name(sql.as_bytes(), *token)));
        }
        let signs = [(TokenKind::UserVariable, "@"), (TokenKind::Bang, "not")];
        signs.iter().find(|(kind, _)| *kind == token.kind).map(|(_, sign)| (*sign).to_owned())
    };
    tokens.iter().filter_map(word).filter(|word| is_shown(word)).collect()
}

fn their_words(digest: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let mut words = Vec::new();
    let mut rest = digest;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if rest.starts_with("/*") {
            // Hints, and the mark of a list of rows that was cut short.
            length = rest.find("*/").unwrap() + 2;
        } else if rest.starts_with("@@") {
            length = 2;
        } else if first == '@' {
            // The name of a variable is a value to the digest, unless it is in backticks.
            let variable = &rest[1..];
            length = 1 + if variable.starts_with('`') { name_length(variable) } else { variable.len().min(1) };
            words.push("@".to_owned());
        } else if first == '`' {
            length = name_length(rest);
            words.push(canonical(&rest[1..length - 1]));
        } else if first == '!' && !rest.starts_with("!=") {
            words.push("not".to_owned());
        } else if is_name(first) {
            length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            // Of what is not in backticks, introducers begin with an underscore and positions with a digit.
            if first != '_' && !first.is_ascii_digit() {
                words.push(canonical(&rest[..length]));
            }
        }
        rest = &rest[length..];
    }
    words.retain(|word| is_shown(word));
    words
}

/// The length of a name in backticks. Those within are not doubled; behind a name comes a blank or the end.
fn name_length(text: &str) -> usize {
    text[1..].find("` ").map_or(text.len(), |end| end + 2)
}

/// NULL in a list of values is cut away with them, and an empty name leaves nothing.
fn is_shown(word: &str) -> bool {
    !word.is_empty() && word != "null"
}

/// The word in lower case; of words that are one token to the server, the one that its digest shows.
fn canonical(word: &str) -> String {
    const SYNONYMS: &[(&[&str], &str)] = &[
        (&["any"], "some"),
        (&["bigint"], "int8"),
        (&["char"], "character"),
        (&["columns"], "fields"),
        (&["current_date"], "curdate"),
        (&["current_time"], "curtime"),
        (&["current_timestamp", "localtime", "localtimestamp"], "now"),
        (&["database"], "schema"),
        (&["databases"], "schemas"),
        (&["dec"], "decimal"),
        (&["desc", "describe"], "explain"),
        (&["distinct"], "distinctrow"),
        (&["double"], "float8"),
        (&["float"], "float4"),
        (&["geomcollection"], "geometrycollection"),
        (&["int", "int4"], "integer"),
        (&["int1"], "tinyint"),
        (&["int2"], "smallint"),
        (&["int3", "mediumint"], "middleint"),
        (&["io_thread"], "relay_thread"),
        (&["ndb"], "ndbcluster"),
        (&["regexp"], "rlike"),
        (&["std", "stddev"], "stddev_pop"),
        (&["substr", "mid"], "substring"),
        (&["user", "session_user"], "system_user"),
        (&["varchar"], "varcharacter"),
        (&["variance"], "var_pop"),
    ];
    let word = word.to_lowercase();
    let word = word.strip_prefix("sql_tsi_").unwrap_or(&word);
    SYNONYMS.iter().find(|(synonyms, _)| synonyms.contains(&word)).map_or(word, |(_, shown)| shown).to_owned()
}
