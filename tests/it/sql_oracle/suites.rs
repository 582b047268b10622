//! The statements of the servers' own test suites, read by us and by the servers. They are fetched, never kept:
//!
//! ```sh
//! tests/support/setup.sh suites
//! cargo test --test it -- --ignored --nocapture sql_oracle::suites
//! ```
//!
//! The second command prints shares and every kind of disagreement, with `CANDADO_SAMPLES` statements of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use candado::sql::{StatementClass, Token, lex, statement_class};
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::mysqltest::{Found, verb};
use super::{SYNTAX_ERRORS, Session, number, our_words, their_words};
use crate::support::block_on;
use crate::support::server::{Kind, Server};

/// How many of a thousand statements may be read otherwise than a server reads them.
const DIFFERENT_PER_MILLE: usize = 1;
/// The server shows the whole of a statement's digest, however long it is.
const DIGEST_OCTETS: &str = "--max-digest-length=1048576";

#[test]
#[ignore = "needs what tests/support/setup.sh suites fetches, and takes minutes"]
fn mysql_takes_what_we_read_of_its_suite() {
    block_on(compare_validity(Kind::MySql));
}

#[test]
#[ignore = "needs what tests/support/setup.sh suites fetches, and takes minutes"]
fn mariadb_takes_what_we_read_of_its_suite() {
    block_on(compare_validity(Kind::MariaDb));
}

/// All statements of a kind's suite.
fn statements(kind: Kind) -> BTreeSet<String> {
    let cache = env::var_os("CANDADO_CACHE")
        .map_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME")).join(".cache/candado"), PathBuf::from);
    let folder = cache.join("suites").join(match kind {
        Kind::MySql => "mysql",
        Kind::MariaDb => "mariadb",
    });
    let files = fs::read_dir(&folder).expect("run tests/support/setup.sh suites first");
    let mut found = Found::default();
    for file in files {
        found.read(&fs::read(file.unwrap().path()).unwrap());
    }
    let (count, other) = (found.statements.len(), found.other_charsets);
    eprintln!("{kind:?}: {count} different statements, {other} left out that are no UTF-8");
    found.statements
}

/// Constructs that we do not read on purpose: words of the statement, or of our error, and the reason.
const LISTED: &[(&[&str], &str)] = &[
    (&["NESTED TOO DEEPLY"], "nesting has a limit"),
    (&["DOLLAR QUOTE"], "bodies of routines in other languages"),
    (&["VARIABLE WITHOUT A NAME", "UNFINISHED EXPONENT"], "typing errors that MySQL takes"),
    (&["AMBIGUOUS VERSIONED COMMENT"], "servers differ in where the version of such a comment ends"),
    (&["GROUPING SETS", "BY CUBE", "BY ROLLUP", "WITH CUBE"], "of the ways to add up groups, WITH ROLLUP is read"),
    (&[" INTO @", " INTO OUTFILE", " INTO DUMPFILE"], "INTO stands once, and in the outermost query"),
    (&["PROCEDURE "], "MariaDB's PROCEDURE ANALYSE shows values that are not opened"),
    (&["FOR PORTION OF"], "a row is split, and its values are copied"),
    (&["BEFORE SYSTEM_TIME"], "rows of the past are deleted up to a time"),
    (
        &["UNEXPECTED IN", "UNEXPECTED LIKE", "UNEXPECTED BETWEEN", "UNEXPECTED REGEXP"],
        "MariaDB's chains of predicates",
    ),
    (&["UNEXPECTED ("], "routines of MariaDB's packages, which the catalog does not know"),
    (&["UNEXPECTED CYCLE"], "MariaDB's CYCLE compares values"),
    (&["ABSENT ON NULL", "NULL ON NULL"], "arguments of JSON aggregates"),
    (&["TABLESAMPLE"], "MySQL takes the word and cannot do it"),
];

/// Why a statement that a server takes is not read at a place, if it is on purpose.
fn listed(sql: &str, place: &str) -> Option<&'static str> {
    let words = |text: &str| text.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let text = format!("{} {}", words(sql), words(place));
    LISTED.iter().find(|(known, _)| known.iter().any(|known| text.contains(known))).map(|(_, reason)| *reason)
}

/// Disagreements by kind.
#[derive(Default)]
struct Tally {
    agreed: usize,
    /// What we refuse on purpose, by the reason.
    listed: BTreeMap<&'static str, usize>,
    different: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn differs(&mut self, kind: String, sql: &str) {
        self.different.entry(kind).or_default().push(sql.to_owned());
    }

    /// Prints everything, and fails if too many differ.
    fn report(&self, what: &str) {
        let different: usize = self.different.values().map(Vec::len).sum();
        let listed: usize = self.listed.values().sum();
        let all = self.agreed + listed + different;
        let share = self.agreed as f64 * 100.0 / all as f64;
        eprintln!("{what}: {} of {all} agree, {share:.3} %", self.agreed);
        eprintln!("{different} differ, and {listed} are refused on purpose: {:#?}", self.listed);
        let mut kinds: Vec<_> = self.different.iter().collect();
        kinds.sort_by_key(|(_, statements)| std::cmp::Reverse(statements.len()));
        for (kind, statements) in kinds {
            eprintln!("{:6}  {kind}", statements.len());
            for sql in statements.iter().take(number("CANDADO_SAMPLES", 2)) {
                let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
                eprintln!("            {}", line.chars().take(400).collect::<String>());
            }
        }
        assert!(all >= 10_000, "{all}: the suites hold more");
        assert!(different * 1000 <= all * DIFFERENT_PER_MILLE, "{what}: {different} of {all} differ");
    }
}

/// Whether Candado reads statements of that class with its parser.
fn is_read(session: &mut Session, sql: &str) -> bool {
    const EXPLAINED: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "FORMAT"];
    match lex(sql.as_bytes(), &session.dialect, &mut session.tokens) {
        Ok(()) => match statement_class(sql.as_bytes(), &session.tokens) {
            StatementClass::Dml => true,
            StatementClass::Explain => {
                let second = session.tokens.get(1).map(|token| token.bytes(sql.as_bytes())).unwrap_or_default();
                EXPLAINED.iter().any(|word| second.eq_ignore_ascii_case(word.as_bytes()))
            }
            _ => false,
        },
        Err(_) => {
            ["SELECT", "WITH", "TABLE", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"].contains(&verb(sql).as_str())
        }
    }
}

/// The server's word on whether a statement is SQL, and what it says of it if it is not.
async fn taken(session: &mut Session, sql: &str) -> Result<(), String> {
    match session.conn.prep(sql).await {
        Ok(statement) => {
            session.conn.close(statement).await.unwrap();
            Ok(())
        }
        Err(mysql_async::Error::Server(error)) if SYNTAX_ERRORS.contains(&error.code) => Err(error.message),
        Err(mysql_async::Error::Server(_)) => Ok(()),
        Err(error) => panic!("{sql}: {error}"),
    }
}

async fn compare_validity(kind: Kind) {
    let server = Server::launch(kind, &[]);
    let mut session = Session::open_on(&server).await;
    let mut tally = Tally::default();
    for sql in statements(kind) {
        if !is_read(&mut session, &sql) {
            continue;
        }
        match (session.read(&sql), taken(&mut session, &sql).await) {
            (Ok(_), Ok(())) | (Err(_), Err(_)) => tally.agreed += 1,
            (Ok(_), Err(message)) => {
                let near = message.split("near '").nth(1).unwrap_or(&message);
                let word = near.split_whitespace().next().unwrap_or_default();
                tally.differs(format!("we read, the server does not, near {word}"), &sql);
            }
            (Err(error), Ok(())) => {
                let place = place(&error, &sql, &session.tokens);
                match listed(&sql, &place) {
                    Some(reason) => *tally.listed.entry(reason).or_default() += 1,
                    None => tally.differs(format!("we do not read: {place}"), &sql),
                }
            }
        }
    }
    tally.report(&format!("{kind:?}: valid or not"));
    server.end();
}

/// An error with the word at its position.
fn place(error: &str, sql: &str, tokens: &[Token]) -> String {
    let Some((reason, position)) = error.split_once(" token ") else {
        return error.split(" at byte ").next().unwrap_or_default().to_owned();
    };
    let token = position.parse::<usize>().ok().and_then(|at| tokens.get(at));
    let word = token.map_or("the end", |token| str::from_utf8(token.bytes(sql.as_bytes())).unwrap());
    format!("{reason} {}", word.to_uppercase())
}

/// MySQL's lexer and ours cut the statements of both suites alike.
#[test]
#[ignore = "needs what tests/support/setup.sh suites fetches, and takes minutes"]
fn mysql_cuts_the_suites_into_our_words() {
    block_on(async {
        let server = Server::launch(Kind::MySql, &[DIGEST_OCTETS]);
        let mut session = Session::open_on(&server).await;
        let mut tally = Tally::default();
        let mut unread = 0;
        for sql in statements(Kind::MySql).union(&statements(Kind::MariaDb)) {
            let ask = session.conn.exec_first::<Row, _, _>("SELECT STATEMENT_DIGEST_TEXT(?)", (sql,)).await;
            let row = match ask {
                Ok(row) => row.unwrap().unwrap(),
                Err(mysql_async::Error::Server(_)) => {
                    unread += 1;
                    continue;
                }
                Err(error) => panic!("{sql}: {error}"),
            };
            let [Value::Bytes(digest)] = row.as_slice() else { panic!("{sql}: {row:?}") };
            let digest = str::from_utf8(digest).unwrap();
            match lex(sql.as_bytes(), &session.dialect, &mut session.tokens) {
                Ok(()) => {
                    let (ours, theirs) = (our_words(sql, &session.tokens), their_words(digest));
                    if ours == theirs {
                        tally.agreed += 1;
                    } else {
                        let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
                        let word = |words: &[String]| words.get(at).map_or("the end", String::as_str).to_owned();
                        tally.differs(format!("other words: {} and {}", word(&ours), word(&theirs)), sql);
                    }
                }
                Err(error) => {
                    let place = place(&error.to_string(), sql, &[]);
                    match listed(sql, &place) {
                        Some(reason) => *tally.listed.entry(reason).or_default() += 1,
                        None => tally.differs(format!("we do not cut: {place}"), sql),
                    }
                }
            }
        }
        eprintln!("{unread} are no statements to MySQL");
        tally.report("words");
        server.end();
    });
}
