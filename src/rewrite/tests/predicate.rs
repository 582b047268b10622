//! Evaluates the predicates that stand for comparisons, as the server does for a column of bytes: SQL's three truth
//! values, `None` for NULL.

#![expect(clippy::arithmetic_side_effects, reason = "a test may panic")]

use crate::rewrite::fixture::{Lexed, dialect};

type Cell = Option<Vec<u8>>;

/// The value of a predicate for one stored cell and the parameters that are sent.
pub(super) fn evaluate(predicate: &[u8], cell: &Cell, params: &[Cell]) -> Option<bool> {
    let lexed = Lexed::new(predicate, &dialect());
    let words: Vec<&[u8]> = lexed.tokens.iter().map(|token| token.bytes(predicate)).collect();
    let mut reader = Reader { words: &words, at: 0, cell, params: params.iter() };
    let value = reader.any();
    assert_eq!(reader.at, words.len(), "{:?}", str::from_utf8(predicate));
    assert_eq!(reader.params.len(), 0, "parameters are left over");
    value
}

struct Reader<'a> {
    words: &'a [&'a [u8]],
    at: usize,
    cell: &'a Cell,
    params: std::slice::Iter<'a, Cell>,
}

impl Reader<'_> {
    fn is(&self, word: &str) -> bool {
        self.words.get(self.at).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    /// Terms joined by OR.
    fn any(&mut self) -> Option<bool> {
        let mut value = self.all();
        while self.take("OR") {
            let other = self.all();
            value = match (value, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (None, _) | (_, None) => None,
                (Some(false), Some(false)) => Some(false),
            };
        }
        value
    }

    /// Factors joined by AND.
    fn all(&mut self) -> Option<bool> {
        let mut value = self.factor();
        while self.take("AND") {
            let other = self.factor();
            value = match (value, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                (Some(true), Some(true)) => Some(true),
            };
        }
        value
    }

    fn factor(&mut self) -> Option<bool> {
        if self.take("NOT") {
            return self.factor().map(|value| !value);
        }
        if self.take("(") {
            let value = self.any();
            assert!(self.take(")"));
            return value;
        }
        if self.is("NULL") && self.words.get(self.at + 1).is_none_or(|next| *next != b"IS") {
            self.at += 1;
            return None;
        }
        let left = self.operand();
        if self.take("IS") {
            let negated = self.take("NOT");
            assert!(self.take("NULL"));
            return Some(left.is_none() != negated);
        }
        let operator = self.words[self.at];
        self.at += 1;
        let right = self.operand();
        if operator == b"<=>" {
            return Some(left == right);
        }
        let (left, right) = (left?, right?);
        Some(match operator {
            b"=" => left == right,
            b"<" => left < right,
            b">=" => left >= right,
            other => panic!("{other:?}"),
        })
    }

    fn operand(&mut self) -> Cell {
        let word = self.words[self.at];
        self.at += 1;
        match word {
            b"phone" => self.cell.clone(),
            b"?" => self.params.next().unwrap().clone(),
            b"NULL" => None,
            hex => {
                let digits = hex.strip_prefix(b"x'").unwrap().strip_suffix(b"'").unwrap();
                Some(data_encoding::HEXUPPER.decode(digits).unwrap())
            }
        }
    }
}
