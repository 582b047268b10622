//! Joins by columns of equal names, written out: ON in the place of USING and NATURAL, stars as the columns that they
//! show, and names with the table whose column they mean.

use std::borrow::Cow;

use super::{MISFIT, RewriteError, Source, column, is_word, keys, match_octets};
use crate::plan::{Comparison, Joined, TableColumn, TagColumn, Tagged};
use crate::policy::ProtectedColumn;
use crate::rewrite::Context;
use crate::rewrite::search::{put_match, put_tag};
use crate::rewrite::unify::put_name;
use crate::sql::tree::TokenRange;

/// Appends what stands in the place of those tokens.
pub(super) fn put(
    source: Source<'_>,
    tokens: TokenRange,
    joined: &Joined,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    match joined {
        Joined::Natural => {}
        Joined::Using(_) => out.extend_from_slice(b"ON "),
        Joined::Behind(_) => {
            out.extend_from_slice(source.text(tokens)?);
            out.extend_from_slice(b" ON ");
        }
        Joined::Star(columns) => {
            for (position, column) in columns.iter().enumerate() {
                out.extend_from_slice(if position > 0 { b", " } else { b"" });
                put_column(column, cx, out);
            }
        }
    }
    for (position, pair) in joined.pairs().iter().enumerate() {
        out.extend_from_slice(if position > 0 { b" AND " } else { b"(" });
        let octets = match pair.protected {
            None => None,
            Some((left, right)) => {
                let protected = column(cx, left)?;
                match_octets((protected, keys(cx, left, protected)?), right, cx)?
            }
        };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        put_column(&pair.left, cx, &mut left);
        put_column(&pair.right, cx, &mut right);
        match octets {
            Some(octets) => {
                let [one, other] = &pair.tags;
                let tags = (tag(&left, one.as_ref(), octets, cx), tag(&right, other.as_ref(), octets, cx));
                put_match(&tags.0, Comparison::Equal, &tags.1, out);
            }
            None => [left.as_slice(), b" = ", &right].iter().for_each(|part| out.extend_from_slice(part)),
        }
    }
    if !joined.pairs().is_empty() {
        out.push(b')');
    }
    Ok(())
}

pub(super) fn put_column(column: &TableColumn, cx: &Context<'_>, out: &mut Vec<u8>) {
    put_name(&column.table, cx, out);
    out.push(b'.');
    put_name(&column.column, cx, out);
}

/// What is equal for equal values of a column, and NULL for NULL: the generated column that holds so many first bytes of it,
/// or those bytes.
fn tag(name: &[u8], generated: Option<&TagColumn>, octets: usize, cx: &Context<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match generated {
        Some(tag) if tag.octets == octets => put_column(&tag.column, cx, &mut out),
        Some(_) | None => put_tag(name, octets, &mut out),
    }
    out
}

impl<'a> Source<'a> {
    /// Appends text of the statement, from byte to byte, names in it with their tables.
    pub(super) fn put_text(
        self,
        span: std::ops::Range<usize>,
        cx: &Context<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let mut copied = span.start;
        for name in self.qualified {
            let at = usize::try_from(self.token(name.token)?.start).map_err(|_| MISFIT)?;
            if at < copied || at >= span.end {
                continue;
            }
            out.extend_from_slice(self.sql.get(copied..at).ok_or(MISFIT)?);
            if out.last().is_some_and(|byte| is_word(*byte)) {
                out.push(b' ');
            }
            put_name(&name.table, cx, out);
            out.push(b'.');
            copied = at;
        }
        out.extend_from_slice(self.sql.get(copied..span.end).ok_or(MISFIT)?);
        Ok(())
    }

    /// The bytes of tokens as they are sent.
    pub(super) fn sent(self, tokens: TokenRange, cx: &Context<'_>) -> Result<Cow<'a, [u8]>, RewriteError> {
        if self.qualified.is_empty() {
            return self.text(tokens).map(Cow::Borrowed);
        }
        let mut out = Vec::new();
        self.put_text(self.span(tokens)?, cx, &mut out)?;
        Ok(Cow::Owned(out))
    }

    /// What is equal for equal values of a column of the statement.
    pub(super) fn tag(
        self,
        of: &Tagged,
        octets: usize,
        protected: &ProtectedColumn,
        cx: &Context<'_>,
    ) -> Result<Vec<u8>, RewriteError> {
        Ok(tag(&self.name(of.tokens, protected, cx)?, of.generated.as_deref(), octets, cx))
    }

    /// The bytes of a column's name, which may stand outside of what is replaced.
    pub(super) fn name(
        self,
        tokens: TokenRange,
        protected: &ProtectedColumn,
        cx: &Context<'_>,
    ) -> Result<Cow<'a, [u8]>, RewriteError> {
        self.must_be_plain(tokens, protected)?;
        self.sent(tokens, cx)
    }
}
