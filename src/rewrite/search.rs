//! The predicate that stands for a comparison with values: ranges over the envelope's index prefix, and equality with the
//! value itself where the column holds values beside envelopes.
//!
//! Each form has exactly the truth table of the comparison it replaces, NULL included, so it may stand wherever the
//! comparison stood: under NOT, in CASE, in the select list. The column stands bare on the left of each bound, which
//! an ordinary prefix index answers.

use crate::crypto::{Plaintext, PrefixRange};
use crate::plan::{Among, Comparison};
use crate::schema::ServerKind;

/// One value that the column is compared with.
#[derive(Debug)]
pub(super) enum Term {
    /// A known value. With neither ranges nor the value beside them no stored value can equal it.
    Value {
        /// Its range under each live index version.
        ranges: Vec<PrefixRange>,
        /// The value itself, where the column may hold it.
        beside: Option<Plaintext>,
    },
    /// A parameter: two bounds for each of so many index versions.
    Param {
        /// Live index versions.
        versions: usize,
        /// Whether one more parameter is the value itself.
        beside: Beside,
    },
    /// NULL.
    Null,
}

/// What a look-up asks for beside the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing: the column holds envelopes alone.
    Nothing,
    /// The value itself.
    Value,
}

/// Appends the predicate, in parentheses.
pub(super) fn put_predicate(column: &[u8], comparison: Comparison, terms: &[Term], out: &mut Vec<u8>) {
    match comparison {
        Comparison::Equal => put_any(column, terms, out),
        Comparison::NotEqual => {
            out.extend_from_slice(b"(NOT ");
            put_any(column, terms, out);
            out.push(b')');
        }
        Comparison::NullSafeEqual => put_separated(terms, out, |term, out| put_null_safe(column, term, out)),
    }
}

/// Appends a comparison of what is equal for equal values of two columns, in parentheses. NULL stays NULL in it.
pub(super) fn put_match(one: &[u8], comparison: Comparison, other: &[u8], out: &mut Vec<u8>) {
    let operator: &[u8] = match comparison {
        Comparison::Equal => b" = ",
        Comparison::NotEqual => b" <> ",
        Comparison::NullSafeEqual => b" <=> ",
    };
    put_all(out, &[b"(", one, operator, other, b")"]);
}

/// Appends the first bytes of a column: equal where its values are, and NULL where it is.
pub(super) fn put_tag(column: &[u8], octets: usize, out: &mut Vec<u8>) {
    put_all(out, &[b"SUBSTRING(", column, b", 1, ", octets.to_string().as_bytes(), b")"]);
}

/// Appends one of the cells of a column whose first bytes, the tag, are the same. Which one does not matter, as long as it is
/// the same one for all rows that are shown as one.
pub(super) fn put_any_of(column: &[u8], among: Among, tag: &[u8], server: ServerKind, out: &mut Vec<u8>) {
    match (among, server) {
        (Among::Group, ServerKind::MySql) => put_all(out, &[b"ANY_VALUE(", column, b")"]),
        // MariaDB has no such function.
        (Among::Group, ServerKind::MariaDb) => put_all(out, &[b"MIN(", column, b")"]),
        // ANY_VALUE shows another group's value in some of MySQL's plans for ROLLUP. Plans for MariaDB have none of these: it
        // has no GROUPING.
        (Among::Rollup, ServerKind::MySql | ServerKind::MariaDb) => {
            put_all(out, &[b"IF(GROUPING(", tag, b"), NULL, MIN(", column, b"))"]);
        }
        (Among::Query, ServerKind::MySql | ServerKind::MariaDb) => {
            put_all(out, &[b"MIN(", column, b") OVER (PARTITION BY ", tag, b")"]);
        }
    }
}

/// `=` with any of the terms: TRUE, FALSE or NULL as IN has it.
fn put_any(column: &[u8], terms: &[Term], out: &mut Vec<u8>) {
    // A single range needs no second pair of parentheses.
    match terms {
        [term] => put_equal(column, term, out),
        terms => put_separated(terms, out, |term, out| put_equal(column, term, out)),
    }
}

fn put_separated<T>(items: &[T], out: &mut Vec<u8>, mut put: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'(');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b" OR ");
        }
        put(item, out);
    }
    out.push(b')');
}

fn put_equal(column: &[u8], term: &Term, out: &mut Vec<u8>) {
    match term {
        Term::Value { ranges, beside } => {
            let ranges = ranges.iter().map(Alternative::Range);
            let alternatives: Vec<_> = ranges.chain(beside.iter().map(Alternative::Value)).collect();
            put_alternatives(column, &alternatives, out);
        }
        Term::Param { versions, beside } => {
            let ranges = vec![Alternative::ParamRange; *versions];
            let beside = match beside {
                Beside::Nothing => None,
                Beside::Value => Some(Alternative::ParamValue),
            };
            put_alternatives(column, &ranges.into_iter().chain(beside).collect::<Vec<_>>(), out);
        }
        // NULL for each row, which keeps NOT IN's answer for a list with NULL.
        Term::Null => put_all(out, &[b"(", column, b" = NULL)"]),
    }
}

/// TRUE or FALSE, never NULL.
fn put_null_safe(column: &[u8], term: &Term, out: &mut Vec<u8>) {
    match term {
        Term::Value { .. } => {
            put_all(out, &[b"(", column, b" IS NOT NULL AND "]);
            put_equal(column, term, out);
            out.push(b')');
        }
        // A NULL parameter arrives as empty bounds, which no value lies between, and NULL as the last parameter.
        Term::Param { versions, beside } => {
            put_all(out, &[b"((", column, b" IS NOT NULL AND "]);
            put_equal(column, &Term::Param { versions: *versions, beside: Beside::Nothing }, out);
            match beside {
                Beside::Nothing => put_all(out, &[b") OR (", column, b" IS NULL AND ? IS NULL))"]),
                // The value itself is that last parameter.
                Beside::Value => put_all(out, &[b") OR ", column, b" <=> ?)"]),
            }
        }
        Term::Null => put_all(out, &[b"(", column, b" IS NULL)"]),
    }
}

/// One way in which a stored value can equal the one that is looked up.
#[derive(Clone, Copy, Debug)]
enum Alternative<'a> {
    Range(&'a PrefixRange),
    Value(&'a Plaintext),
    ParamRange,
    ParamValue,
}

/// Each alternative is NULL for NULL and TRUE or FALSE for a value; so are all of them together.
fn put_alternatives(column: &[u8], alternatives: &[Alternative<'_>], out: &mut Vec<u8>) {
    match alternatives {
        // FALSE for a value, NULL for NULL.
        [] => put_all(out, &[b"(", column, b" IS NULL AND NULL)"]),
        [alternative] => put_alternative(column, *alternative, out),
        alternatives => {
            put_separated(alternatives, out, |alternative, out| put_alternative(column, *alternative, out));
        }
    }
}

fn put_alternative(column: &[u8], alternative: Alternative<'_>, out: &mut Vec<u8>) {
    match alternative {
        Alternative::Range(range) => put_range(column, range, out),
        Alternative::Value(value) => {
            put_all(out, &[b"(", column, b" = "]);
            put_hex(value.expose(), out);
            out.push(b')');
        }
        Alternative::ParamRange => put_all(out, &[b"(", column, b" >= ? AND ", column, b" < ?)"]),
        Alternative::ParamValue => put_all(out, &[b"(", column, b" = ?)"]),
    }
}

fn put_range(column: &[u8], range: &PrefixRange, out: &mut Vec<u8>) {
    put_all(out, &[b"(", column, b" >= "]);
    put_hex(&range.low, out);
    // A prefix of nothing but FF has no successor: everything from it on has it.
    if let Some(high) = &range.high {
        put_all(out, &[b" AND ", column, b" < "]);
        put_hex(high, out);
    }
    out.push(b')');
}

/// Appends `x'…'`: a binary string in every SQL mode and character set. The caller sees to what stands before it.
pub(super) fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(bytes.len().saturating_mul(2).saturating_add(3));
    out.extend_from_slice(b"x'");
    for byte in bytes {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    out.push(b'\'');
}

fn put_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
