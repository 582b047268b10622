//! Comparisons of rows of values, one by one: `(a, b) = (1, 2)` is `a = 1 AND b = 2`, whatever is NULL.

use super::{Replacement, RewriteError, Source, column, keys, put_replacement, replacement};
use crate::plan::{Comparison, Pair, Splice};
use crate::rewrite::Context;

/// `None`: the server compares all columns by itself.
pub(super) fn replacement_of<'a>(
    comparison: Comparison,
    rows: &'a [Vec<Pair>],
    cx: &Context<'_>,
) -> Result<Option<Replacement<'a>>, RewriteError> {
    for splice in rows.iter().flatten().filter_map(|pair| pair.protected.as_ref()) {
        if part(splice, cx)?.is_some() {
            return Ok(Some(Replacement::Rows { comparison, rows }));
        }
    }
    Ok(None)
}

fn part<'a>(splice: &'a Splice, cx: &Context<'_>) -> Result<Option<Replacement<'a>>, RewriteError> {
    let protected = column(cx, splice.column)?;
    replacement(splice, protected, keys(cx, splice.column, protected)?, cx)
}

/// Appends the comparisons, in parentheses.
pub(super) fn put(
    source: Source<'_>,
    comparison: Comparison,
    rows: &[Vec<Pair>],
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    out.extend_from_slice(match comparison {
        Comparison::Equal | Comparison::NullSafeEqual => b"(",
        Comparison::NotEqual => b"(NOT (",
    });
    for (position, row) in rows.iter().enumerate() {
        out.extend_from_slice(if position > 0 { b" OR (" } else { b"(" });
        for (position, pair) in row.iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(b" AND ");
            }
            put_pair(source, pair, Compared::of(comparison, rows), cx, out)?;
        }
        out.push(b')');
    }
    out.extend_from_slice(match comparison {
        Comparison::Equal | Comparison::NullSafeEqual => b")",
        Comparison::NotEqual => b"))",
    });
    Ok(())
}

/// How the server compares a column that needs no help.
#[derive(Clone, Copy)]
enum Compared {
    /// By `=`.
    Equal,
    /// By `<=>`.
    NullSafe,
    /// As IN does with several rows: by the column's type, where `=` goes by both types. `INT = '1.5'` is not TRUE for 1,
    /// `(INT, 0) IN (('1.5', 0), …)` is.
    In,
}

impl Compared {
    fn of(comparison: Comparison, rows: &[Vec<Pair>]) -> Self {
        match (comparison, rows) {
            (Comparison::NullSafeEqual, _) => Self::NullSafe,
            // IN with a single row is `=` to the servers too.
            (Comparison::Equal | Comparison::NotEqual, [_]) => Self::Equal,
            (Comparison::Equal | Comparison::NotEqual, _) => Self::In,
        }
    }
}

fn put_pair(
    source: Source<'_>,
    pair: &Pair,
    compared: Compared,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    if let Some(splice) = &pair.protected
        && let Some(replacement) = part(splice, cx)?
    {
        let protected = column(cx, splice.column)?;
        return put_replacement(source, &replacement, (protected, keys(cx, splice.column, protected)?), cx, out);
    }
    let (name, other) = (source.sent(pair.column_tokens, cx)?, source.text(pair.other_tokens)?);
    let name: &[u8] = &name;
    let parts: [&[u8]; 5] = match compared {
        Compared::Equal => [b"(", name, b" = ", other, b")"],
        Compared::NullSafe => [b"(", name, b" <=> ", other, b")"],
        // The second row is FALSE, whatever the column holds, and keeps the server from taking it for `=`.
        Compared::In => [b"((", name, b", 0) IN ((", other, b", 0), (NULL, 1)))"],
    };
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(())
}
