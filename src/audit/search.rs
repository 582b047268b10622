//! Finding accesses in files, fast: pieces of a file are searched for the rarest text that is wanted, and only lines that
//! hold it are read; of other times than the wanted ones no more is read than it takes to find their place. Nothing is
//! verified here.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use memchr::memmem::Finder;

use super::line::{as_field, escaped};
use super::stretch::stretch;
use super::{Accessed, Parsed};

/// Bytes that are read at once.
const PIECE: usize = 4 << 20;

/// How much of a file is looked at for a first record.
const START: usize = 64 << 10;
/// A line that is longer is none.
const LINE_OCTETS_MAX: usize = 64 << 20;

/// Which accesses are wanted. What is `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The account, `user@host`; without `@` the user from any host.
    pub account: Option<String>,
    /// The column, `database.table.column`.
    pub column: Option<String>,
    /// The beginning of the statement's digest.
    pub digest: Option<String>,
    /// The client's address, with or without its port.
    pub client: Option<String>,
    /// The trace, or a part of it.
    pub trace: Option<String>,
    /// At that time or later.
    pub from: Option<String>,
    /// Before that time.
    pub until: Option<String>,
}

/// A filter in the form of lines.
struct Wanted {
    account: Option<String>,
    column: Option<String>,
    client: Option<Client>,
    digest: Option<String>,
    trace: Option<String>,
    from: Option<String>,
    until: Option<String>,
    /// What a line must hold somewhere.
    needle: Option<Finder<'static>>,
}

/// A client as lines hold it, an IPv6 address between brackets.
enum Client {
    /// Address and port: the whole field.
    Socket(String),
    /// An address with the colon behind it: what the field begins with.
    Address(String),
}

impl Client {
    fn new(text: &str) -> Self {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Self::Socket(SocketAddr::new(socket.ip().to_canonical(), socket.port()).to_string());
        }
        match text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V6(address)) => Self::Address(format!("[{address}]:")),
            Ok(IpAddr::V4(address)) => Self::Address(format!("{address}:")),
            // No client's address.
            Err(_) => Self::Socket(text.to_owned()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Socket(text) | Self::Address(text) => text,
        }
    }

    fn takes(&self, field: &str) -> bool {
        match self {
            Self::Socket(text) => field == text,
            Self::Address(text) => field.starts_with(text.as_str()),
        }
    }
}

impl Wanted {
    fn new(filter: &Filter) -> Self {
        let column = filter.column.as_ref().map(|column| {
            let mut text = String::new();
            escaped(&mut text, column, b",=");
            text.push('=');
            text
        });
        let account = filter.account.as_deref().map(as_field);
        let client = filter.client.as_deref().map(Client::new);
        let text = |text: &Option<String>, before: &str| text.as_ref().map(|text| format!("{before}{text}"));
        let needle = text(&filter.digest, "\t")
            .or_else(|| filter.trace.clone())
            .or_else(|| text(&account, "\t"))
            .or_else(|| client.as_ref().map(|client| format!("\t{}", client.text())))
            .or_else(|| column.clone());
        let needle = needle.map(|needle| Finder::new(needle.as_bytes()).into_owned());
        let Filter { digest, trace, from, until, .. } = filter.clone();
        Self { account, column, client, digest, trace, from, until, needle }
    }

    fn takes(&self, access: &Accessed<'_>) -> bool {
        let is_account = |wanted: &String| match wanted.contains('@') {
            true => access.account == wanted,
            false => access.account.rsplit_once('@').is_some_and(|(user, _)| user == wanted),
        };
        self.account.as_ref().is_none_or(is_account)
            && self.client.as_ref().is_none_or(|client| client.takes(access.client))
            && self.digest.as_ref().is_none_or(|digest| access.digest.starts_with(digest.as_str()))
            && self.trace.as_ref().is_none_or(|trace| access.traceparent.contains(trace.as_str()))
            && self.from.as_ref().is_none_or(|from| access.at >= from.as_str())
            && self.until.as_ref().is_none_or(|until| access.at < until.as_str())
            && self
                .column
                .as_ref()
                .is_none_or(|wanted| access.columns.split(',').any(|column| column.starts_with(wanted.as_str())))
    }
}

/// Calls `each` with every access of a file that is wanted, in order.
///
/// # Errors
/// The file cannot be read.
pub fn search(path: &Path, filter: &Filter, mut each: impl FnMut(&Accessed<'_>)) -> io::Result<()> {
    let wanted = Wanted::new(filter);
    let mut file = fs::File::open(path)?;
    if !begins_as_record(&mut file)? {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no record of accesses"));
    }
    let stretch = stretch(&mut file, filter.from.as_deref(), filter.until.as_deref())?;
    file.seek(SeekFrom::Start(stretch.start))?;
    let mut file = file.take(stretch.end.saturating_sub(stretch.start));
    let mut piece = vec![0; PIECE];
    // Bytes of a line whose end has not been read.
    let mut filled = 0;
    loop {
        if filled == piece.len() {
            if filled >= LINE_OCTETS_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
            }
            piece.resize(filled.saturating_mul(2), 0);
        }
        let count = file.read(piece.get_mut(filled..).unwrap_or_default())?;
        if count == 0 {
            return Ok(());
        }
        filled = filled.saturating_add(count);
        let bytes = piece.get(..filled).unwrap_or_default();
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at.saturating_add(1));
        lines(bytes.get(..whole).unwrap_or_default(), &wanted, &mut each);
        piece.copy_within(whole..filled, 0);
        filled = filled.saturating_sub(whole);
    }
}

/// Whether one of the first lines can be read, or there is none: what is in a file of another kind would be nothing found.
fn begins_as_record(file: &mut fs::File) -> io::Result<bool> {
    let mut start = Vec::with_capacity(START);
    file.take(START as u64).read_to_end(&mut start)?;
    let whole = memchr::memrchr(b'\n', &start).map_or(0, |at| at.saturating_add(1));
    let mut lines = start.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
    Ok(whole == 0 || lines.any(|line| Parsed::read(line).is_some()))
}

/// Takes whole lines.
fn lines(bytes: &[u8], wanted: &Wanted, each: &mut impl FnMut(&Accessed<'_>)) {
    let mut take = |line: &[u8]| {
        if let Some(access) = Parsed::read(line).and_then(|parsed| parsed.access())
            && wanted.takes(&access)
        {
            each(&access);
        }
    };
    let Some(needle) = &wanted.needle else {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&b'a')) {
            take(line);
        }
        return;
    };
    let mut rest = bytes;
    while !rest.is_empty()
        && let Some(at) = needle.find(rest)
    {
        let start = memchr::memrchr(b'\n', rest.get(..at).unwrap_or_default()).map_or(0, |at| at.saturating_add(1));
        let behind = rest.get(at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', behind).map_or(rest.len(), |length| at.saturating_add(length));
        take(rest.get(start..end).unwrap_or_default());
        // Behind the line feed: a needle that is empty, or that begins with one, would be found at it again.
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
}
