//! Who is behind a statement, as its client says: `application` and `traceparent` of a comment as sqlcommenter writes it,
//! and an application's name from connection attributes.
//!
//! A comment may hold anything, values too. A word is taken only if it has the form of what it should be; all others are as
//! if they were not there. What is taken goes to the record of accesses and nowhere else.

use std::sync::Arc;

/// Letters of an application's name.
const APPLICATION_MAX: usize = 64;
/// A comment that is longer is none of sqlcommenter's.
const COMMENT_OCTETS_MAX: usize = 4096;

/// What a statement's comment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The application.
    pub application: Option<Arc<str>>,
    /// The trace (W3C Trace Context, version 00).
    pub traceparent: Option<Arc<str>>,
}

/// An application's name: it begins with a letter, and goes on with letters, digits and `. _ / : -`. A telephone number, an
/// e-mail address or a sentence is none.
pub fn application(text: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(text).ok()?;
    let fits = text.len() <= APPLICATION_MAX
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:-".contains(&byte));
    fits.then(|| text.into())
}

/// `00-<32 hexadecimal digits>-<16>-<2>`, lower case, neither of the two ids all zeros.
pub fn traceparent(text: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split('-');
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let id = |part: Option<&str>, length| part.is_some_and(|part| hex(part, length) && part.bytes().any(|b| b != b'0'));
    let fits = parts.next() == Some("00")
        && id(parts.next(), 32)
        && id(parts.next(), 16)
        && parts.next().is_some_and(|flags| hex(flags, 2))
        && parts.next().is_none();
    fits.then(|| text.into())
}

/// Reads the comment before a statement's first token, or behind its last one; `first` and `last` say where the two are.
/// Where a name stands twice, the first one counts.
pub fn said(sql: &[u8], first: usize, last: usize) -> Said {
    let mut said = Said::default();
    for around in [sql.get(last..), sql.get(..first)] {
        for comment in comments(around.unwrap_or_default()) {
            let Some(pairs) = pairs(comment) else { continue };
            for (name, value) in pairs {
                match name {
                    b"application" | b"app_name" if said.application.is_none() => {
                        said.application = application(value);
                    }
                    b"traceparent" if said.traceparent.is_none() => said.traceparent = traceparent(value),
                    _ => {}
                }
            }
        }
    }
    said
}

/// The texts of block comments, hints and versioned comments excepted.
fn comments(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(start) = memchr::memmem::find(bytes, b"/*") {
        let Some(rest) = bytes.get(start.saturating_add(2)..) else { break };
        let Some(end) = memchr::memmem::find(rest, b"*/") else { break };
        let text = rest.get(..end).unwrap_or_default();
        if text.len() <= COMMENT_OCTETS_MAX && !text.starts_with(b"!") && !text.starts_with(b"+") {
            found.push(text);
        }
        bytes = rest.get(end.saturating_add(2)..).unwrap_or_default();
    }
    found
}

/// `name='value',name='value'`. `None` if anything else is in it.
fn pairs(comment: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut pairs = Vec::new();
    for pair in comment.split(|byte| *byte == b',') {
        let pair = pair.trim_ascii();
        let at = memchr::memchr(b'=', pair)?;
        let (name, value) = pair.split_at(at);
        let value = value.strip_prefix(b"='")?.strip_suffix(b"'")?;
        let plain = !value.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\\') || byte.is_ascii_control());
        if name.is_empty() || !plain {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
}
