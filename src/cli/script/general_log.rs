//! A server's general query log, as `--general-log-file` has it (MySQL manual, "The General Query Log").
//!
//! An entry begins a line with time, connection, command and argument. Everything up to the next entry is its argument:
//! statements may have several lines.

use std::collections::HashMap;
use std::sync::Arc;

use super::Piece;

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// A statement: COM_QUERY, or COM_STMT_PREPARE.
    Statement,
    /// COM_INIT_DB.
    Database,
    /// A login, which may name a database.
    Connect,
    /// Anything else.
    Other,
}

/// The beginning of an entry.
struct Entry<'a> {
    connection: &'a [u8],
    command: Command,
    argument: &'a [u8],
}

/// The statements in a log, each in the database that its connection was in. USE is a statement as well as a command: the
/// server logs it as `Init DB`.
pub(in crate::cli) fn statements(log: &[u8], database: Option<Arc<str>>) -> Vec<Piece<'_>> {
    let mut databases: HashMap<&[u8], Arc<str>> = HashMap::new();
    let mut found: Vec<Piece<'_>> = Vec::new();
    // Where the argument of the statement begins that the current line may go on with.
    let mut open: Option<usize> = None;
    let mut at = 0;
    for (line, text) in (1..).zip(log.split_inclusive(|byte| *byte == b'\n')) {
        let start = at;
        at += text.len();
        let Some(entry) = Entry::parse(text) else {
            if let (Some(from), Some(piece)) = (open, found.last_mut()) {
                piece.sql = log.get(from..at).unwrap_or_default().trim_ascii_end();
            }
            continue;
        };
        open = None;
        let argument = entry.argument.trim_ascii_end();
        match entry.command {
            Command::Statement => {
                open = Some(start + (text.len() - entry.argument.len()));
                let database = databases.get(entry.connection).cloned().or_else(|| database.clone());
                found.push(Piece { line, sql: argument, database });
            }
            Command::Database => {
                databases.remove(entry.connection);
                databases.extend(std::str::from_utf8(argument).ok().map(|name| (entry.connection, Arc::from(name))));
            }
            Command::Connect => {
                databases.remove(entry.connection);
                databases.extend(connected_to(argument).map(|name| (entry.connection, name)));
            }
            Command::Other => {}
        }
    }
    found
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let tab = memchr::memchr(b'\t', line)?;
        let (time, rest) = line.split_at_checked(tab)?;
        // MariaDB writes two tabs in the place of a time that it has written before.
        let rest = match (time.is_empty(), rest.strip_prefix(b"\t\t"), rest.strip_prefix(b"\t")) {
            (true, Some(rest), _) => rest,
            (false, _, Some(rest)) if is_time(time) => rest,
            (_, _, _) => return None,
        };
        let rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (connection, rest) = rest.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
        let rest = rest.strip_prefix(b" ")?;
        let (command, argument) = rest.split_at_checked(memchr::memchr(b'\t', rest)?)?;
        let command = match command {
            b"Query" | b"Prepare" => Command::Statement,
            b"Init DB" => Command::Database,
            b"Connect" | b"Change user" => Command::Connect,
            b"Execute" | b"Quit" | b"Close stmt" | b"Reset stmt" | b"Long Data" | b"Fetch" | b"Field List"
            | b"Ping" | b"Statistics" | b"Reset Connection" | b"Shutdown" | b"Set option" | b"Processlist"
            | b"Kill" | b"Debug" | b"Refresh" | b"Daemon" | b"Binlog Dump" | b"Binlog Dump GTID"
            | b"Register Slave" | b"Register Replica" | b"Create DB" | b"Drop DB" | b"Sleep" | b"Delayed insert"
            | b"Connect Out" | b"Error" => Command::Other,
            _ => return None,
        };
        Some(Self { connection, command, argument: argument.strip_prefix(b"\t")? })
    }
}

/// `2026-11-26T10:22:01.123456Z`, `261126 10:22:01`, or the latter with a blank for the first digit of the hour.
fn is_time(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_digit)
        && bytes.contains(&b':')
        && bytes.iter().all(|byte| byte.is_ascii_digit() || b" -:.+TZ".contains(byte))
}

/// The database of `user@host on shop using TCP/IP`. A name that is not UTF-8 is not known.
fn connected_to(argument: &[u8]) -> Option<Arc<str>> {
    let (_, behind) = std::str::from_utf8(argument).ok()?.split_once(" on ")?;
    let name = behind.split(" using ").next().unwrap_or_default().trim();
    (!name.is_empty() && !name.starts_with("using ")).then(|| name.into())
}
