//! Statements that a command is given to look at: from an argument, a file, standard input, or a server's general log.

pub(super) mod general_log;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;

use super::Failure;
use crate::policy::written::suggestion;
use crate::sql::{self, Dialect, SqlMode, StatementClass, Token};

/// More than any list of statements that somebody will read.
const INPUT_OCTETS_MAX: u64 = 256 << 20;

/// Where the statements come from.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Statements, with semicolons between them. Without it they are read from standard input.
    sql: Option<String>,
    /// Read the statements from a file.
    #[arg(short, long, conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// The file is a server's general log: what it says of queries and of prepared statements is taken.
    #[arg(long, conflicts_with = "sql")]
    general_log: bool,
}

/// Reads an SQL mode of the command line. Here combinations stand for their modes, as the server spells them out.
///
/// # Errors
/// Which name is none of a mode.
pub(super) fn sql_mode(written: &str) -> Result<SqlMode, String> {
    const ANSI: &str = "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY";
    const TRADITIONAL: &str = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
        ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";
    const OTHERS: &str = "ALLOW_INVALID_DATES,HIGH_NOT_PRECEDENCE,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES,\
        NO_DIR_IN_CREATE,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH,TIME_TRUNCATE_FRACTIONAL,EMPTY_STRING_IS_NULL,\
        SIMULTANEOUS_ASSIGNMENT,TIME_ROUND_FRACTIONAL,NO_AUTO_CREATE_USER,NO_FIELD_OPTIONS,NO_KEY_OPTIONS,\
        NO_TABLE_OPTIONS,IGNORE_BAD_TABLE_OPTIONS";
    let known: Vec<&str> = [ANSI, TRADITIONAL, OTHERS].iter().flat_map(|names| names.split(',')).collect();
    let upper = written.to_ascii_uppercase();
    let mut modes = SqlMode::empty();
    for name in upper.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let spelled = match name {
            "ANSI" => ANSI,
            "TRADITIONAL" => TRADITIONAL,
            name if known.contains(&name) => name,
            name => {
                let hint = suggestion(name, known.iter().copied());
                return Err(format!("`{name}` is no SQL mode{hint}"));
            }
        };
        modes |= SqlMode::from_variable(spelled);
    }
    Ok(modes)
}

impl Source {
    /// Reads them all.
    pub(super) fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.sql, &self.file) {
            (Some(sql), _) => Ok(sql.clone().into_bytes()),
            (None, Some(path)) => read_file(path),
            (None, None) => Ok(read(std::io::stdin())?),
        }
    }

    /// The statements of what was read. `database` is the default database of the first.
    pub(super) fn statements<'a>(
        &self,
        input: &'a [u8],
        dialect: &Dialect,
        database: Option<&str>,
    ) -> Result<Vec<Piece<'a>>, Failure> {
        let database = database.map(Arc::from);
        if !self.general_log {
            return Ok(pieces(input, dialect, database));
        }
        let found = general_log::statements(input, database);
        if found.is_empty() && !input.is_empty() {
            return Err(Failure::Usage(anyhow!("there is no statement in it: is it a general log?")));
        }
        Ok(found)
    }
}

/// Reads statements from a file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()));
    file.and_then(read).map_err(Failure::Usage)
}

fn read(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let octets = from.take(INPUT_OCTETS_MAX + 1).read_to_end(&mut bytes).context("cannot read the statements")?;
    if u64::try_from(octets).is_ok_and(|octets| octets <= INPUT_OCTETS_MAX) {
        return Ok(bytes);
    }
    Err(anyhow!("the statements are longer than {} MiB", INPUT_OCTETS_MAX >> 20))
}

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// Its bytes, comments before it included.
    pub(super) sql: &'a [u8],
    /// The default database that it runs in.
    pub(super) database: Option<Arc<str>>,
}

/// The statements of a text, taken apart as the server's own lexer would. What the lexer cannot read counts as one statement up to the next semicolon at the end of
/// a line, so that one such statement does not hide the others.
fn pieces<'a>(input: &'a [u8], dialect: &Dialect, mut database: Option<Arc<str>>) -> Vec<Piece<'a>> {
    if let Some(found) = lexed(input, 1, dialect, &mut database) {
        return found;
    }
    let mut found = Vec::new();
    let (mut rest, mut line) = (input, 1);
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b";\n").map_or(rest.len(), |at| at.saturating_add(2));
        let (chunk, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let read = lexed(chunk, line, dialect, &mut database);
        found.extend(read.unwrap_or_else(|| vec![unread(chunk, line, database.clone())]));
        line += lines(chunk);
        rest = behind;
    }
    found
}

fn unread(chunk: &[u8], line: usize, database: Option<Arc<str>>) -> Piece<'_> {
    let blank = chunk.len() - chunk.trim_ascii_start().len();
    let line = line + chunk.get(..blank).map_or(0, lines);
    Piece { line, sql: chunk.strip_suffix(b";\n").unwrap_or(chunk), database }
}

fn lexed<'a>(
    input: &'a [u8],
    line: usize,
    dialect: &Dialect,
    database: &mut Option<Arc<str>>,
) -> Option<Vec<Piece<'a>>> {
    let mut tokens = Vec::new();
    sql::lex(input, dialect, &mut tokens).ok()?;
    let mut found = Vec::new();
    let mut rest = tokens.iter().peekable();
    let (mut start, mut counted, mut line) = (0, 0, line);
    for statement in sql::statements(input, &tokens) {
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { continue };
        while let Some(empty) = rest.next_if(|token| token.start < first.start) {
            start = empty.end as usize;
        }
        while rest.next_if(|token| token.start < last.end).is_some() {}
        // From semicolon to semicolon: comments count, and a versioned one may close behind the last token.
        let semicolon = rest.next();
        let end = semicolon.map_or(input.len(), |token| token.start as usize);
        line += input.get(counted..first.start as usize).map_or(0, lines);
        counted = first.start as usize;
        let sql = input.get(start..end).unwrap_or_default();
        found.push(Piece { line, sql, database: database.clone() });
        start = semicolon.map_or(input.len(), |token| token.end as usize);
        if let Some(used) = used(input, statement) {
            *database = Some(used);
        }
    }
    Some(found)
}

fn used(input: &[u8], statement: &[Token]) -> Option<Arc<str>> {
    match (sql::statement_class(input, statement), statement) {
        (StatementClass::Use, [_, name, ..]) => Some(sql::name(input, *name).into()),
        _ => None,
    }
}

fn lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}
