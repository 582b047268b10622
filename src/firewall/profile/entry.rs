//! Profiles as text, for review, for a version control system, and for the way to another deployment.
//!
//! One block of lines for each digest, blank lines between blocks, `#` before remarks. What a block says is a name, a
//! blank, and the rest of the line; nothing has to be quoted, because no name holds a line break here.

use super::{Place, SHAPE_OCTETS_MAX, Shape, TEXT_CHARS_MAX};
use crate::firewall::Digest;

/// The first line of a file.
pub const FIRST_LINE: &str = "candado firewall profiles 1";

/// One digest of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileEntry {
    /// Account and database.
    pub place: Place,
    /// The digest.
    pub digest: Digest,
    /// The text with `?` for every value.
    pub text: String,
    /// What it is made of.
    pub shape: Option<Shape>,
    /// When it was first seen, `2026-03-04T05:06:07Z`.
    pub first_seen: String,
    /// How many statements of it were seen.
    pub seen: u64,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

/// Writes entries.
pub fn write(entries: &[ProfileEntry]) -> String {
    let mut out = format!("{FIRST_LINE}\n");
    for entry in entries {
        let ProfileEntry { place: Place { account, database }, digest, text, shape, first_seen, seen } = entry;
        let shape = shape.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        out.push_str(&format!(
            "\naccount {account}\ndatabase {database}\ndigest {digest}\nfirst-seen {first_seen}\nseen {seen}\n\
             shape {shape}\ntext {text}\n"
        ));
    }
    out
}

/// Reads what [`write()`] writes, and people change.
///
/// # Errors
/// All lines that are wrong.
pub fn read(text: &str) -> Result<Vec<ProfileEntry>, Vec<BadLine>> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
    let mut bad = Vec::new();
    match lines.next() {
        Some((_, FIRST_LINE)) => {}
        Some((line, _)) => bad.push(BadLine { line, text: format!("the first line is `{FIRST_LINE}`") }),
        None => bad.push(BadLine { line: 1, text: "the file is empty".to_owned() }),
    }
    let mut entries = Vec::new();
    let mut block = Block::default();
    for (line, text) in lines {
        if text.trim().is_empty() {
            block.end(&mut entries, &mut bad);
        } else {
            block.take(line, text, &mut bad);
        }
    }
    block.end(&mut entries, &mut bad);
    if bad.is_empty() { Ok(entries) } else { Err(bad) }
}

#[derive(Default)]
struct Block {
    /// Where it begins; 0 before its first line.
    line: usize,
    account: Option<String>,
    database: Option<String>,
    digest: Option<Digest>,
    text: Option<String>,
    shape: Option<Option<Shape>>,
    first_seen: Option<String>,
    seen: Option<u64>,
    is_bad: bool,
}

impl Block {
    fn take(&mut self, line: usize, text: &str, bad: &mut Vec<BadLine>) {
        if self.line == 0 {
            self.line = line;
        }
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = value.trim();
        let wrong = match name {
            "account" => set(&mut self.account, account(value), "an account is written user@host"),
            "database" => set(&mut self.database, database(value), "a database has a name of at most 64 characters"),
            "digest" => set(&mut self.digest, Digest::parse(value), "a digest has 64 hexadecimal digits"),
            "first-seen" => set(&mut self.first_seen, time(value), "a time is written 2026-03-04T05:06:07Z"),
            "seen" => set(&mut self.seen, value.parse().ok(), "how often it was seen is a number"),
            "shape" => set(&mut self.shape, shape(value), "this is no shape; `-` stands for none"),
            "text" => set(&mut self.text, text_of(value), "the text is empty or too long"),
            other => Some(format!(
                "`{other}` is not known; known are account, database, digest, first-seen, seen, shape, text"
            )),
        };
        if let Some(text) = wrong {
            self.is_bad = true;
            bad.push(BadLine { line, text });
        }
    }

    fn end(&mut self, entries: &mut Vec<ProfileEntry>, bad: &mut Vec<BadLine>) {
        let block = std::mem::take(self);
        if block.line == 0 || block.is_bad {
            return;
        }
        let Self { line, account, database, digest, text, shape, first_seen, seen, is_bad: _ } = block;
        match (account, database, digest, text, shape, first_seen, seen) {
            (Some(account), Some(database), Some(digest), Some(text), Some(shape), Some(first_seen), Some(seen)) => {
                let place = Place { account: account.into(), database: database.into() };
                entries.push(ProfileEntry { place, digest, text, shape, first_seen, seen });
            }
            _ => {
                let text = "an entry has account, database, digest, first-seen, seen, shape and text".to_owned();
                bad.push(BadLine { line, text });
            }
        }
    }
}

/// Takes a value over; what is wrong if there is none, or one was there.
fn set<T>(field: &mut Option<T>, value: Option<T>, wrong: &str) -> Option<String> {
    if field.is_some() {
        return Some("this is said twice in one entry".to_owned());
    }
    *field = value;
    field.is_none().then(|| wrong.to_owned())
}

fn account(text: &str) -> Option<String> {
    let (_, host) = text.rsplit_once('@')?;
    (!host.is_empty() && text.chars().count() <= ACCOUNT_CHARS_MAX).then(|| text.to_owned())
}

/// A user name of 80 characters (MariaDB), `@`, and a host part of 255.
pub const ACCOUNT_CHARS_MAX: usize = 336;

fn database(text: &str) -> Option<String> {
    (text.chars().count() <= 64).then(|| text.to_owned())
}

fn shape(text: &str) -> Option<Option<Shape>> {
    if text == "-" {
        return Some(None);
    }
    (text.len() <= SHAPE_OCTETS_MAX).then(|| Shape::parse(text))?.map(Some)
}

fn text_of(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX;
    fits.then(|| text.to_owned())
}

fn time(text: &str) -> Option<String> {
    const FORM: &[u8] = b"0000-00-00T00:00:00Z";
    let fits = text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form });
    fits.then(|| text.to_owned())
}
