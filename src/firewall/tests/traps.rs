//! Literal traps: a statement with hostile text inside its literals, escaped as the session's SQL mode and character set
//! ask for, is judged as it is without.
//!
//! `CANDADO_TRAPS=100000 cargo test --lib traps` runs that many cases.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::*;
use crate::sql::{StatementClass, Token, TokenKind};

/// Cases without the variable: a few seconds.
const CASES: u32 = 10_000;

const CORPUS: [&str; 6] = [
    include_str!("../../../tests/data/sql/select.sql"),
    include_str!("../../../tests/data/sql/joins.sql"),
    include_str!("../../../tests/data/sql/change.sql"),
    include_str!("../../../tests/data/sql/expressions.sql"),
    include_str!("../../../tests/data/sql/functions.sql"),
    include_str!("../../../tests/data/sql/lexical.sql"),
];

/// What a trap is put together from, beside whole attacks.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "\\",
    "\\'",
    "''",
    "\\\\",
    "--",
    "-- ",
    "#",
    "/*",
    "*/",
    "/*!50000",
    "/*+",
    ";",
    "\n",
    "\r",
    "\0",
    "\u{1a}",
    "\t",
    "%",
    "_",
    "?",
    "@@version",
    "@x:=1",
    "OR",
    " OR 1=1 ",
    "AND",
    "UNION ALL SELECT NULL",
    "0x61",
    "SLEEP(5)",
    "x'41'",
    "N'",
    "_gbk'",
    "é",
    "¿'",
    "\u{bf}\\",
    "漢",
    "ソ",
    "表",
    "😀",
    "‘",
    "ʼ",
    "＇",
    "a",
    "0",
    "=",
    "(",
    ")",
    "{",
    "}",
    "||",
    "INTO OUTFILE '/x'",
    "PROCEDURE ANALYSE(",
    "information_schema.tables",
    "",
    " ",
];

/// Everything that the project's tests say of honest and hostile statements.
fn statements() -> Vec<String> {
    let of_rules = rules::ALL.iter().flat_map(|rule| rule.refuses.iter().chain(rule.passes));
    let of_files = CORPUS.iter().flat_map(|file| file.lines()).filter_map(|line| line.strip_suffix(';'));
    let of_plans = include_str!("../../plan/tests/plans/orms.txt").lines().filter(|line| !line.starts_with(' '));
    let all = of_rules.copied().chain(of_files).chain(of_plans);
    all.filter(|text| text.contains(['\'', '"'])).map(str::to_owned).collect()
}

fn dialects() -> Vec<Dialect> {
    let modes = [
        SqlMode::empty(),
        SqlMode::ANSI_QUOTES,
        SqlMode::NO_BACKSLASH_ESCAPES,
        SqlMode::ANSI_QUOTES | SqlMode::NO_BACKSLASH_ESCAPES | SqlMode::PIPES_AS_CONCAT,
        SqlMode::STRICT | SqlMode::HIGH_NOT_PRECEDENCE | SqlMode::IGNORE_SPACE,
    ];
    let charsets = [Charset::Utf8mb4, Charset::Utf8mb3, Charset::Latin1, Charset::Ascii, Charset::Binary];
    let servers = [
        ServerVersion { kind: ServerKind::MySql, number: 90_704 },
        ServerVersion { kind: ServerKind::MariaDb, number: 101_106 },
    ];
    let of =
        |mode| charsets.into_iter().flat_map(move |charset| servers.map(|server| Dialect { mode, charset, server }));
    modes.into_iter().flat_map(of).collect()
}

/// Everything that the firewall decides about a statement.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unreadable,
    /// Statements in it, and the verdict on all of them.
    Read(usize, Verdict),
}

fn outcome(sql: &[u8], dialect: &Dialect) -> Outcome {
    let mut tokens = Vec::new();
    if sql::lex(sql, dialect, &mut tokens).is_err() {
        return Outcome::Unreadable;
    }
    let class = sql::statement_class(sql, &tokens);
    let statement = sql::parse(sql, &tokens, dialect, &sql::ReservedWords::Default(dialect.server.kind)).ok();
    let verdict = judge(&Reading::new(sql, &tokens, class, statement.as_ref()));
    Outcome::Read(sql::statements(sql, &tokens).len(), verdict)
}

/// How a client library writes a value into a literal.
#[derive(Clone, Copy, Debug)]
enum Escaping {
    /// Quotes are doubled, and so are backslashes that would escape something.
    Doubled,
    /// As `mysql_real_escape_string`: with backslashes, where they escape.
    Backslashes,
}

/// The text as a literal's inside. Characters that the character set does not have are left out.
fn escaped(text: &str, quote: u8, dialect: &Dialect, escaping: Escaping) -> Vec<u8> {
    let backslash_escapes = !dialect.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
    let mut out = Vec::new();
    for letter in text.chars() {
        match (letter, escaping) {
            ('\\', _) if backslash_escapes => out.extend_from_slice(b"\\\\"),
            ('\0', Escaping::Backslashes) if backslash_escapes => out.extend_from_slice(b"\\0"),
            ('\n', Escaping::Backslashes) if backslash_escapes => out.extend_from_slice(b"\\n"),
            ('\u{1a}', Escaping::Backslashes) if backslash_escapes => out.extend_from_slice(b"\\Z"),
            ('\'' | '"', Escaping::Backslashes) if backslash_escapes => out.extend([b'\\', letter as u8]),
            (letter, _) if letter == char::from(quote) => out.extend([quote, quote]),
            (letter, _) => encode(letter, dialect.charset, &mut out),
        }
    }
    out
}

fn encode(letter: char, charset: Charset, out: &mut Vec<u8>) {
    let code = u32::from(letter);
    match charset {
        Charset::Utf8mb4 | Charset::Binary => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        Charset::Utf8mb3 if code <= 0xFFFF => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        Charset::Latin1 if code < 0x80 || (0xA0..=0xFF).contains(&code) => out.push(code as u8),
        Charset::Ascii if code < 0x80 => out.push(code as u8),
        Charset::Utf8mb3 | Charset::Latin1 | Charset::Ascii => {}
    }
}

/// The statement with a trap in each literal that holds something: an empty one is a value of its own to one rule.
fn trapped(sql: &[u8], tokens: &[Token], dialect: &Dialect, traps: &[String], escaping: Escaping) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    let mut traps = traps.iter().cycle();
    for token in tokens {
        let text = token.bytes(sql);
        let open = usize::from(token.kind == TokenKind::NationalString);
        let is_string = matches!(token.kind, TokenKind::String | TokenKind::NationalString);
        if !is_string || text.len() <= open + 2 {
            continue;
        }
        let inside = token.start as usize + open + 1;
        out.extend_from_slice(&sql[at..inside]);
        // Never empty, and never a number where the literal was none.
        out.push(b'z');
        out.extend(escaped(traps.next().unwrap(), text[open], dialect, escaping));
        at = token.end as usize - 1;
    }
    out.extend_from_slice(&sql[at..]);
    out
}

#[test]
fn hostile_text_in_a_literal_changes_no_verdict() {
    let cases = std::env::var("CANDADO_TRAPS").map_or(CASES, |cases| cases.parse().unwrap());
    let attacks: Vec<&str> = rules::ALL.iter().flat_map(|rule| rule.refuses).copied().collect();
    let trap = prop::collection::vec(prop_oneof![4 => select(PIECES), 1 => select(attacks)], 0..6)
        .prop_map(|pieces| pieces.concat());
    let escaping = select(&[Escaping::Doubled, Escaping::Backslashes][..]);
    let case = (select(statements()), select(dialects()), prop::collection::vec(trap, 1..4), escaping);
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let judged = std::cell::Cell::new(0_u32);
    runner
        .run(&case, |(statement, dialect, traps, escaping)| {
            let sql = statement.as_bytes();
            let mut tokens = Vec::new();
            // What is unreadable in this mode has no literals.
            if sql::lex(sql, &dialect, &mut tokens).is_err() {
                return Ok(());
            }
            let class = sql::statement_class(sql, &tokens);
            // The literal of PREPARE is a statement.
            if matches!(class, StatementClass::Prepare | StatementClass::ExecuteImmediate) {
                return Ok(());
            }
            let with = trapped(sql, &tokens, &dialect, &traps, escaping);
            judged.set(judged.get() + u32::from(with != sql));
            prop_assert_eq!(outcome(&with, &dialect), outcome(sql, &dialect), "{}", with.escape_ascii());
            Ok(())
        })
        .unwrap();
    assert!(judged.get() > cases / 2, "only {} of {cases} statements held a trap", judged.get());
}
