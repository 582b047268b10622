//! Statements of the servers' own test files, as far as they stand there in full.
//!
//! A `.test` file is read by the program mysqltest: its own commands stand beside the statements, some behind two dashes,
//! and its variables may be parts of what it sends. What is a command, or has a variable, is left out.

use std::collections::BTreeSet;

/// Words that SQL statements begin with. mysqltest's commands begin with others.
const VERBS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CACHE",
    "CALL",
    "CHANGE",
    "CHECK",
    "CHECKSUM",
    "COMMIT",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DO",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "FLUSH",
    "GRANT",
    "HANDLER",
    "INSERT",
    "KILL",
    "LOAD",
    "LOCK",
    "OPTIMIZE",
    "PREPARE",
    "PURGE",
    "RELEASE",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "STOP",
    "TABLE",
    "TRUNCATE",
    "UNLOCK",
    "UPDATE",
    "USE",
    "VALUES",
    "WITH",
    "XA",
];
/// Commands that take lines up to a word of their own.
const BLOCKS: &[&str] = &["perl", "write_file", "append_file"];

/// What was found in files.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each once.
    pub(super) statements: BTreeSet<String>,
    /// How many stand there that are no UTF-8.
    pub(super) other_charsets: usize,
}

impl Found {
    /// Takes the statements of a file.
    pub(super) fn read(&mut self, file: &[u8]) {
        let mut reader = Reader { rest: file, delimiter: b";".to_vec() };
        while let Some(piece) = reader.next_piece() {
            let Ok(text) = str::from_utf8(piece) else {
                self.other_charsets += 1;
                continue;
            };
            if is_statement(text) {
                self.statements.insert(text.trim().to_owned());
            }
        }
    }
}

/// The word that a statement begins with, in upper case; an opening parenthesis stands for a query.
pub(super) fn verb(text: &str) -> String {
    let text = text.trim_start();
    if text.starts_with('(') {
        return "SELECT".to_owned();
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text[..end].to_ascii_uppercase()
}

fn is_statement(text: &str) -> bool {
    VERBS.contains(&verb(text).as_str())
}

/// A file, cut at its delimiters.
struct Reader<'a> {
    rest: &'a [u8],
    delimiter: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        line
    }

    /// The next statement or command that ends with the delimiter. Comments, commands behind dashes and blocks are passed
    /// over.
    fn next_piece(&mut self) -> Option<&'a [u8]> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            match self.rest {
                [] => return None,
                [b'#', ..] => drop(self.line()),
                [b'-', b'-', ..] => {
                    let line = self.line();
                    self.command(&line[2..]);
                }
                [b'{' | b'}', rest @ ..] => self.rest = rest,
                _ => {
                    let piece = self.up_to_delimiter();
                    if !self.command(piece) {
                        return Some(piece);
                    }
                }
            }
        }
    }

    /// Follows a command that changes how the file is read; `false` for anything else.
    fn command(&mut self, text: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(text) else { return false };
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default().to_ascii_lowercase();
        if first == "delimiter" {
            self.delimiter = words.next().unwrap_or(";").as_bytes().to_vec();
            return true;
        }
        if !BLOCKS.contains(&first.as_str()) {
            return false;
        }
        let end = words.last().filter(|_| first != "perl").filter(|word| !word.contains(['/', '$', '.']));
        let end = end.unwrap_or("EOF").to_owned();
        while !self.rest.is_empty() && self.line().trim_ascii() != end.as_bytes() {}
        true
    }

    /// As far as the delimiter outside of quotes and comments, which is passed over. A condition's brace ends it as well.
    fn up_to_delimiter(&mut self) -> &'a [u8] {
        let text = self.rest;
        let is_condition = ["if", "while"].iter().any(|word| {
            let (head, behind) = text.split_at(word.len().min(text.len()));
            head.eq_ignore_ascii_case(word.as_bytes()) && behind.trim_ascii_start().starts_with(b"(")
        });
        let mut at = 0;
        while at < text.len() {
            let here = &text[at..];
            if here.starts_with(&self.delimiter) {
                self.rest = &here[self.delimiter.len()..];
                return &text[..at];
            }
            if is_condition && here[0] == b'{' {
                self.rest = &here[1..];
                return &text[..at];
            }
            at += passed_over(here, at == 0 || text[at - 1] == b'\n');
        }
        self.rest = &[];
        text
    }
}

/// The length of what cannot hold a delimiter at the front of a text: a string, a comment, or one character.
fn passed_over(text: &[u8], begins_line: bool) -> usize {
    let until = |end: &[u8], from: usize| {
        let found = text.get(from..).and_then(|rest| rest.windows(end.len()).position(|window| window == end));
        found.map_or(text.len(), |found| from + found + end.len())
    };
    match text {
        [b'/', b'*', ..] => until(b"*/", 2),
        [b'-', b'-', b' ' | b'\t' | b'\n', ..] => until(b"\n", 2),
        [b'#', ..] if begins_line => until(b"\n", 1),
        [quote @ (b'\'' | b'"' | b'`'), ..] => {
            let mut at = 1;
            while at < text.len() && text[at] != *quote {
                at += if text[at] == b'\\' && *quote != b'`' { 2 } else { 1 };
            }
            (at + 1).min(text.len())
        }
        _ => 1,
    }
}

#[test]
fn commands_and_statements_of_a_test_file_are_told_apart() {
    let file = b"# a comment; SELECT 0;
--source include/x.inc
let $a= 5;
SELECT 'a;b', \"it\\\";\"
 FROM t; eval SELECT $a; --echo SELECT 1;
if ($a) {
  INSERT INTO t VALUES (1);
}
delimiter |;
CREATE PROCEDURE p() BEGIN SELECT 1; END|
delimiter ;|
perl;
SELECT 'perl';
EOF
--error 1064
SELECT /* ; */ 2 -- it's
 + 1;
(SELECT 3);
";
    let mut found = Found::default();
    found.read(file);
    let expected = [
        "(SELECT 3)",
        "CREATE PROCEDURE p() BEGIN SELECT 1; END",
        "INSERT INTO t VALUES (1)",
        "SELECT 'a;b', \"it\\\";\"\n FROM t",
        "SELECT /* ; */ 2 -- it's\n + 1",
    ];
    assert_eq!(found.statements.into_iter().collect::<Vec<_>>(), expected);
}
