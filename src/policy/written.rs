//! Reading a TOML file as somebody wrote it: every complaint names the file, the line and, for a key that does not
//! exist, the nearest one that does.
//!
//! Knows no file's meaning and opens none: callers hand in the text. Used for `policy.toml` and `candado.toml`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

/// How different a written key may be from a known one to be suggested: 0 is nothing in common, 1 is equal.
const SIMILARITY_MIN: f64 = 0.6;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// All that is wrong with a file, in order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// A file's text while it is read, and what was found wrong with it.
#[derive(Debug)]
pub struct Text<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Text<'a> {
    /// `file` is its name in messages.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    /// Reads the text into the type that describes the file.
    ///
    /// # Errors
    /// What is wrong with its syntax, its keys or its types: the first complaint only, later ones depend on it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        toml::from_str(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(&span));
            Problems(vec![Problem { file: self.file.to_owned(), line, text: explain(error.message()) }])
        })
    }

    /// Notes something wrong at a place in the text.
    pub fn wrong(&mut self, at: &Range<usize>, text: impl Into<String>) {
        let line = self.line(at);
        self.problems.push(Problem { file: self.file.to_owned(), line, text: text.into() });
    }

    /// Gives `value` if nothing was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn finish<T>(mut self, value: T) -> Result<T, Problems> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(Problems(self.problems))
    }

    fn line(&self, at: &Range<usize>) -> usize {
        self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The known word that is most like a written one, if any is like it.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (word, strsim::jaro_winkler(written, word)))
        .filter(|(_, similarity)| *similarity >= SIMILARITY_MIN)
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .map(|(word, _)| word)
}

/// `; did you mean ...?` for a word that is unknown, or nothing.
pub fn suggestion<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, known).map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// Reads what may be written as one word or as a table. `expected` says so.
pub(super) fn word_or_table<'de, D, W, T>(
    deserializer: D,
    expected: &'static str,
    by_word: impl FnOnce(W) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    W: Deserialize<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(WordOrTable { expected, by_word, read: PhantomData })
}

struct WordOrTable<W, T, F> {
    expected: &'static str,
    by_word: F,
    read: PhantomData<(W, T)>,
}

impl<'de, W: Deserialize<'de>, T: Deserialize<'de>, F: FnOnce(W) -> T> Visitor<'de> for WordOrTable<W, T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<T, E> {
        W::deserialize(StrDeserializer::new(word)).map(self.by_word)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table))
    }
}

/// Serde's complaint in our words. It lists the known names in backticks after the unknown one.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let kind = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "value"
    } else if message.starts_with("missing field") {
        return format!("key `{}` is missing", quoted.next().unwrap_or_default());
    } else {
        return whole_number(message.trim_end()).replace('\n', ", ");
    };
    let written = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    if let Some(word) = nearest(written, known.iter().copied()) {
        // Values are few, and the nearest need not be the one that was meant: of a firewall that is "on", it is "off".
        let others = if kind == "value" && known.len() > 1 {
            format!(" Known here: {}", known.join(", "))
        } else {
            String::new()
        };
        return format!("unknown {kind} `{written}`; did you mean `{word}`?{others}");
    }
    format!("unknown {kind} `{written}`; known here: {}", known.join(", "))
}

/// A type of ours is no word for whoever writes a file.
fn whole_number(message: &str) -> String {
    let expected = ["u8", "u16", "u32", "u64", "usize"].iter().find_map(|name| message.strip_suffix(name));
    match expected {
        Some(head) if head.starts_with("invalid type: ") => format!("{head}a whole number"),
        Some(_) | None => message.to_owned(),
    }
}
