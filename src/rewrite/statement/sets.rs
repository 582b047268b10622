//! UNION, INTERSECT and EXCEPT over protected columns, written as UNION ALL in a nested query whose rows are grouped: by the
//! index prefixes of the protected columns, and by the other columns as they are, which the server compares as a set
//! operation does.
//!
//! The operands stay where they are, and so do their parameters; something is put before the first and behind the last.

use super::{RewriteError, Source, column, is_quote, is_word, keys, match_octets, ties};
use crate::plan::{QueryPlan, SetPart, SetText, SetTexts, SpliceKind, nested_column, set_texts};
use crate::rewrite::Context;
use crate::rewrite::search::put_tag;
use crate::rewrite::unify::put_name;
use crate::sql::tree::TokenRange;

/// Text that is put between two bytes of a statement.
#[derive(Debug)]
pub(super) struct Inserted {
    at: usize,
    side: Side,
    operands: TokenRange,
    text: Vec<u8>,
}

/// On which side of its place a text's own token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Behind it: the text comes before the first operand.
    Before,
    /// Before it: the text comes behind the last operand.
    Behind,
}

/// The texts of an operation; `None` while the server compares all of its columns by itself.
pub(super) fn texts(part: &SetPart, cx: &Context<'_>) -> Result<Option<SetTexts>, RewriteError> {
    let mut columns = Vec::with_capacity(part.columns.len());
    for (position, found) in part.columns.iter().enumerate() {
        let octets = match found.protected {
            Some(id) => {
                let protected = column(cx, id)?;
                match_octets((protected, keys(cx, id, protected)?), id, cx)?
            }
            None => None,
        };
        let tag = octets.map(|octets| {
            let mut tag = Vec::new();
            put_tag(nested_column(position).as_bytes(), octets, &mut tag);
            tag
        });
        let name = found.name.as_ref().map(|name| {
            let mut quoted = Vec::new();
            put_name(name, cx, &mut quoted);
            quoted
        });
        columns.push(SetText { name, tag });
    }
    let is_tagged = columns.iter().any(|column| column.tag.is_some());
    Ok(is_tagged.then(|| set_texts(part.rows, &columns, cx.dialect.server.kind)))
}

/// What is put around the operands of a plan's set operations, and before FROM for the cells that are bound to their rows,
/// in the order of the text.
pub(super) fn inserted(source: Source<'_>, plan: &QueryPlan, cx: &Context<'_>) -> Result<Vec<Inserted>, RewriteError> {
    let mut all = Vec::new();
    for splice in &plan.splices {
        let SpliceKind::Set(part) = &splice.kind else { continue };
        let Some(SetTexts { head, tail, .. }) = texts(part, cx)? else { continue };
        let (span, operands) = (source.span(part.operands)?, part.operands);
        for (at, side, text) in [(span.start, Side::Before, head), (span.end, Side::Behind, tail)] {
            if !text.is_empty() {
                all.push(Inserted { at, side, operands, text });
            }
        }
    }
    if let Some(bound) = &plan.bound {
        let operands = TokenRange { first: bound.before, last: bound.before };
        all.push(Inserted {
            at: source.span(operands)?.start,
            side: Side::Before,
            operands,
            text: ties::text(bound, cx),
        });
    }
    // What is around comes before what is inside, and behind it.
    all.sort_by(|one, other| {
        let width = |inserted: &Inserted| inserted.operands.last.saturating_sub(inserted.operands.first);
        one.at.cmp(&other.at).then_with(|| match one.side {
            Side::Before => width(other).cmp(&width(one)),
            Side::Behind => width(one).cmp(&width(other)),
        })
    });
    Ok(all)
}

/// Appends what stands between two replacements, with what is put there. A text that is put behind a token follows a
/// replacement that ends there.
pub(super) fn put_between(
    source: Source<'_>,
    span: std::ops::Range<usize>,
    inserted: &[Inserted],
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    let mut copied = span.start;
    for Inserted { at, side, text, .. } in inserted {
        let is_here = match side {
            Side::Before => span.contains(at),
            Side::Behind => span.start <= *at && *at <= span.end,
        };
        if !is_here {
            continue;
        }
        source.put_text(copied..*at, cx, out)?;
        if out.last().is_some_and(|byte| is_word(*byte)) {
            out.push(b' ');
        }
        out.extend_from_slice(text);
        copied = *at;
        if source.sql.get(copied).is_some_and(|byte| is_word(*byte) || is_quote(*byte)) {
            out.push(b' ');
        }
    }
    source.put_text(copied..span.end, cx, out)
}
