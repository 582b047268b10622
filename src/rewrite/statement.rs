//! Statements: the text between the spans is copied, each span is replaced by what the plan says.

mod errors;
mod joined;
mod pieces;
mod rows;
mod sets;
mod ties;

pub(super) use errors::{seal_error, search_error};

use self::errors::literal_error;
use super::fit::fitting_octets;
use super::form::SearchForm;
use super::search::{Beside, Term, put_any_of, put_hex, put_match, put_predicate};
use super::subject::{self, Owner, Wanted};
use super::unify::put_name;
use super::{Context, PAYLOAD_OCTETS_MAX, RewriteError};
use crate::crypto::{ColumnKeys, IndexKeys, MAGIC, Plaintext, SearchError, Writes};
use crate::plan::{
    Admitted, Among, Comparison, Joined, KeptText, Pair, Piece, Qualified, QueryPlan, Splice, SpliceKind,
    SubjectSource, SubjectValue, Tagged, Value,
};
use crate::policy::{ColumnId, ProtectedColumn};
use crate::schema::UnclearSubject;
use crate::sql::tree::{TokenIndex, TokenRange};
use crate::sql::{self, Token};

/// Whether a statement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// It goes out as it came; nothing was written.
    Unchanged,
    /// The new text was appended.
    Replaced,
}

/// Carries out a plan on a statement, for COM_QUERY and COM_STMT_PREPARE alike, and appends the new text.
pub fn statement(admitted: &Admitted<'_>, cx: &Context<'_>, out: &mut Vec<u8>) -> Result<Rewritten, RewriteError> {
    let qualified = &admitted.plan().qualified;
    splice(Source { sql: admitted.sql(), tokens: admitted.tokens(), qualified }, admitted.plan(), cx, out)
}

/// A statement and its executed tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) sql: &'a [u8],
    pub(super) tokens: &'a [Token],
    /// Names that are sent with their table, in order.
    pub(super) qualified: &'a [Qualified],
}

/// Carries out the splices; on an error nothing is left in `out`.
pub(super) fn splice(
    source: Source<'_>,
    plan: &QueryPlan,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<Rewritten, RewriteError> {
    let start = out.len();
    let done = put_spliced(source, plan, cx, out);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn put_spliced(
    source: Source<'_>,
    plan: &QueryPlan,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<Rewritten, RewriteError> {
    literal_subjects(source, plan, cx)?.all_there(cx)?;
    plan.copies.iter().try_for_each(|id| must_fit(*id, cx))?;
    let start = out.len();
    let inserted = sets::inserted(source, plan, cx)?;
    let mut copied = 0_usize;
    let mut rewritten = if inserted.is_empty() { Rewritten::Unchanged } else { Rewritten::Replaced };
    for splice in &plan.splices {
        let protected = column(cx, splice.column)?;
        let keys = keys(cx, splice.column, protected)?;
        let Some(replacement) = replacement(splice, protected, keys, cx)? else { continue };
        let span = source.span(splice.tokens)?;
        source.must_be_plain(splice.tokens, protected)?;
        sets::put_between(source, copied..span.start, &inserted, cx, out)?;
        copied = span.end;
        if out.last().is_some_and(|byte| is_word(*byte)) {
            out.push(b' ');
        }
        put_replacement(source, &replacement, (protected, keys), cx, out)?;
        if source.sql.get(copied).is_some_and(|byte| is_word(*byte) || is_quote(*byte)) {
            out.push(b' ');
        }
        if out.len().saturating_sub(start) > PAYLOAD_OCTETS_MAX {
            return Err(RewriteError::TooLarge);
        }
        rewritten = Rewritten::Replaced;
    }
    match rewritten {
        Rewritten::Unchanged => {}
        Rewritten::Replaced => sets::put_between(source, copied..source.sql.len(), &inserted, cx, out)?,
    }
    Ok(rewritten)
}

const MISFIT: RewriteError = RewriteError::PlanMismatch("tokens");

/// What stands in the place of a splice's tokens.
enum Replacement<'a> {
    /// A literal that is stored, and whose it is.
    Stored(TokenRange, Option<SubjectSource>),
    /// A parameter that is stored as text, whatever the column's type is.
    TextParam,
    /// A literal that stands beside the column's values.
    Constant(TokenRange),
    /// Nothing.
    Nothing,
    /// What is equal for equal values: so many bytes.
    Tag { of: &'a Tagged, octets: usize },
    /// One of equal values, and the name of the result's column.
    AnyOf { of: &'a Tagged, among: Among, name: Option<TokenIndex>, octets: usize },
    /// The column where it equals the value.
    NullIf { column_tokens: TokenRange, value: Value, beside: Beside },
    /// A look-up.
    Search { column_tokens: TokenRange, comparison: Comparison, values: &'a [Value], beside: Beside },
    /// What the server prepares in the place of a text that the proxy keeps.
    Kept(&'a KeptText),
    /// What the proxy's own sort leaves of a part of the statement.
    Sorted(&'a [Piece]),
    /// Comparisons of rows.
    Rows { comparison: Comparison, rows: &'a [Vec<Pair>] },
    /// A comparison of two columns by so many bytes of their envelopes.
    Match { left: &'a Tagged, right: &'a Tagged, comparison: Comparison, octets: usize },
    /// A part of a join that is written out, in the place of those tokens.
    Joined(TokenRange, &'a Joined),
    /// The operator of a set operation.
    Set(Vec<u8>),
}

/// `None`: the tokens stay.
fn replacement<'a>(
    splice: &'a Splice,
    protected: &ProtectedColumn,
    keys: &ColumnKeys,
    cx: &Context<'_>,
) -> Result<Option<Replacement<'a>>, RewriteError> {
    Ok(match &splice.kind {
        SpliceKind::Seal(Value::Literal(tokens)) => Some(Replacement::Stored(*tokens, splice.subject)),
        SpliceKind::Seal(Value::Param(_) | Value::Pattern(_)) => match keys.stage().writes() {
            Writes::Envelopes => None,
            Writes::Plaintext => Some(Replacement::TextParam),
        },
        SpliceKind::Seal(Value::Null) | SpliceKind::Constant(Value::Null) => None,
        SpliceKind::Constant(value) => match (SearchForm::of(keys, protected, cx), value, keys.stage().writes()) {
            (SearchForm::AsWritten, _, _) | (_, Value::Null, _) => None,
            (_, Value::Literal(tokens), _) => Some(Replacement::Constant(*tokens)),
            (_, Value::Param(_) | Value::Pattern(_), Writes::Envelopes) => None,
            (_, Value::Param(_) | Value::Pattern(_), Writes::Plaintext) => Some(Replacement::TextParam),
        },
        SpliceKind::Operand => match SearchForm::of(keys, protected, cx) {
            SearchForm::AsWritten => None,
            SearchForm::Envelopes | SearchForm::Both => Some(Replacement::Nothing),
        },
        SpliceKind::Tag { of, like } => {
            match_octets((protected, keys), *like, cx)?.map(|octets| Replacement::Tag { of, octets })
        }
        SpliceKind::AnyOf { of, among, name } => match_octets((protected, keys), splice.column, cx)?
            .map(|octets| Replacement::AnyOf { of, among: *among, name: *name, octets }),
        SpliceKind::NullIf { column_tokens, value } => {
            let beside = match SearchForm::of(keys, protected, cx) {
                SearchForm::AsWritten => return Ok(None),
                SearchForm::Envelopes => Beside::Nothing,
                SearchForm::Both => Beside::Value,
            };
            Some(Replacement::NullIf { column_tokens: *column_tokens, value: *value, beside })
        }
        SpliceKind::Search { column_tokens, comparison, values } => {
            let beside = match SearchForm::of(keys, protected, cx) {
                SearchForm::AsWritten => return Ok(None),
                SearchForm::Envelopes => Beside::Nothing,
                SearchForm::Both => Beside::Value,
            };
            Some(Replacement::Search { column_tokens: *column_tokens, comparison: *comparison, values, beside })
        }
        SpliceKind::Kept(text) => Some(Replacement::Kept(text)),
        SpliceKind::Sorted(pieces) => Some(Replacement::Sorted(pieces)),
        SpliceKind::Joined(joined) => Some(Replacement::Joined(splice.tokens, joined)),
        SpliceKind::Set(part) => sets::texts(part, cx)?.map(|texts| Replacement::Set(texts.operator)),
        SpliceKind::Rows { comparison, rows } => rows::replacement_of(*comparison, rows, cx)?,
        SpliceKind::Match { left, right, other, comparison } => match_octets((protected, keys), *other, cx)?
            .map(|octets| Replacement::Match { left, right, comparison: *comparison, octets }),
    })
}

/// Refuses copies of a column's cells while there are cells of another form than those that are written: one that is
/// copied behind the walk's back would be left over.
fn must_fit(id: ColumnId, cx: &Context<'_>) -> Result<(), RewriteError> {
    let protected = column(cx, id)?;
    let keys = keys(cx, id, protected)?;
    let fits = match SearchForm::of(keys, protected, cx) {
        SearchForm::AsWritten => true,
        SearchForm::Envelopes => match keys.search(&Plaintext::new()) {
            Ok(ranges) => ranges.len() == 1,
            Err(SearchError::NotIndexed) => true,
            Err(error) => return Err(search_error(&error, &protected.column)),
        },
        SearchForm::Both => false,
    };
    if fits {
        return Ok(());
    }
    Err(RewriteError::Unsupported {
        column: protected.column.clone(),
        construct: "copying its values while the column is converted or its index key exchanged",
        remedy: "wait for the end of that job, or read the rows and insert them",
    })
}

/// How many bytes of envelopes decide whether the values of two columns are equal; `None` while the server compares text
/// by itself. Both columns must hold nothing but envelopes that are indexed under one and the same key.
fn match_octets(
    (protected, keys): (&ProtectedColumn, &ColumnKeys),
    other: ColumnId,
    cx: &Context<'_>,
) -> Result<Option<usize>, RewriteError> {
    let other_protected = column(cx, other)?;
    let other_keys = self::keys(cx, other, other_protected)?;
    let prefix = |keys: &ColumnKeys, protected: &ProtectedColumn| {
        let ranges = keys.search(&Plaintext::new()).map_err(|error| search_error(&error, &protected.column))?;
        Ok::<_, RewriteError>(ranges.into_iter().map(|range| range.low).collect::<Vec<_>>())
    };
    match (SearchForm::of(keys, protected, cx), SearchForm::of(other_keys, other_protected, cx)) {
        (SearchForm::AsWritten, SearchForm::AsWritten) => return Ok(None),
        (SearchForm::Envelopes, SearchForm::Envelopes) => {
            // The prefix of the empty value tells keys apart: it is equal for no two of them.
            let (one, two) = (prefix(keys, protected)?, prefix(other_keys, other_protected)?);
            if let ([one], [two]) = (one.as_slice(), two.as_slice())
                && one == two
            {
                return Ok(Some(one.len()));
            }
        }
        (
            SearchForm::AsWritten | SearchForm::Envelopes | SearchForm::Both,
            SearchForm::AsWritten | SearchForm::Envelopes | SearchForm::Both,
        ) => {}
    }
    Err(RewriteError::Unsupported {
        column: protected.column.clone(),
        construct: "a comparison of its values with one another while a column is converted or its index key exchanged",
        remedy: "wait for the end of that job, or compare the column with a value",
    })
}

/// A parameter is sent as bytes, which are UTF-8. Without this the server would convert them from the connection's
/// character set on their way into a character column, and keep them as they are on their way into bytes.
const TEXT_PARAM: &[u8] = b"CONVERT(CAST(? AS BINARY) USING utf8mb4)";

fn put_replacement(
    source: Source<'_>,
    replacement: &Replacement<'_>,
    (protected, keys): (&ProtectedColumn, &ColumnKeys),
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    match replacement {
        Replacement::Nothing => {}
        Replacement::Kept(text) => out.extend_from_slice(text.placeholder().as_bytes()),
        Replacement::Sorted(pieces) => pieces::put(source, pieces, (protected, cx), out)?,
        Replacement::Constant(tokens) => {
            let plain = source.literal(*tokens, protected, cx)?;
            let mut shown = Vec::new();
            show((protected, keys), &plain, &mut shown)?;
            put_text_introducer(keys, out);
            put_hex(&shown, out);
        }
        Replacement::Tag { of, octets } => out.extend_from_slice(&source.tag(of, *octets, protected, cx)?),
        Replacement::AnyOf { of, among, name, octets } => {
            let (column, tag) = (source.name(of.tokens, protected, cx)?, source.tag(of, *octets, protected, cx)?);
            put_any_of(&column, *among, &tag, cx.dialect.server.kind, out);
            if let Some(name) = name {
                out.extend_from_slice(b" AS ");
                put_name(&sql::name(source.sql, *source.token(*name)?), cx, out);
            }
        }
        Replacement::NullIf { column_tokens, value, beside } => {
            let name = source.name(*column_tokens, protected, cx)?;
            let term = source.term(*value, *beside, (protected, keys), cx)?;
            out.extend_from_slice(b"IF(");
            put_predicate(&name, Comparison::Equal, &[term], out);
            out.extend_from_slice(&[b", ", name.as_ref(), b", NULL)"].concat());
        }
        Replacement::Stored(tokens, subject) => {
            let plain = source.literal(*tokens, protected, cx)?;
            let mut stored = Vec::new();
            let subject = match subject {
                Some(subject) => Some(source.subject(subject, protected, cx)?),
                None => None,
            };
            store((protected, keys), subject.as_ref(), &plain, cx, &mut stored)?;
            put_text_introducer(keys, out);
            put_hex(&stored, out);
        }
        Replacement::TextParam => out.extend_from_slice(TEXT_PARAM),
        Replacement::Search { column_tokens, comparison, values, beside } => {
            let name = source.name(*column_tokens, protected, cx)?;
            let terms = values
                .iter()
                .map(|value| source.term(*value, *beside, (protected, keys), cx))
                .collect::<Result<Vec<_>, RewriteError>>()?;
            match (comparison, terms.as_slice()) {
                (_, []) | (Comparison::NullSafeEqual, [_, _, ..]) => {
                    return Err(RewriteError::PlanMismatch("values"));
                }
                (Comparison::Equal | Comparison::NotEqual | Comparison::NullSafeEqual, [_, ..]) => {}
            }
            put_predicate(&name, *comparison, &terms, out);
        }
        Replacement::Joined(tokens, joined) => joined::put(source, *tokens, joined, cx, out)?,
        Replacement::Set(text) => out.extend_from_slice(text),
        Replacement::Rows { comparison, rows } => rows::put(source, *comparison, rows, cx, out)?,
        Replacement::Match { left, right, comparison, octets } => {
            let tag = |of| source.tag(of, *octets, protected, cx);
            put_match(&tag(left)?, *comparison, &tag(right)?, out);
        }
    }
    Ok(())
}

/// Appends what makes a hexadecimal literal text, where text is written.
fn put_text_introducer(keys: &ColumnKeys, out: &mut Vec<u8>) {
    match keys.stage().writes() {
        Writes::Envelopes => {}
        // A character column converts the text to its own set; bytes keep its UTF-8.
        Writes::Plaintext => out.extend_from_slice(b"_utf8mb4 "),
    }
}

impl<'a> Source<'a> {
    fn token(self, index: u32) -> Result<&'a Token, RewriteError> {
        usize::try_from(index).ok().and_then(|index| self.tokens.get(index)).ok_or(MISFIT)
    }

    pub(super) fn token_run(self, range: TokenRange) -> Result<&'a [Token], RewriteError> {
        let first = usize::try_from(range.first).map_err(|_| MISFIT)?;
        let last = usize::try_from(range.last).map_err(|_| MISFIT)?;
        self.tokens.get(first..=last).ok_or(MISFIT)
    }

    /// The bytes from the first token's first to the last token's last.
    fn span(self, range: TokenRange) -> Result<std::ops::Range<usize>, RewriteError> {
        let start = usize::try_from(self.token(range.first)?.start).map_err(|_| MISFIT)?;
        let end = usize::try_from(self.token(range.last)?.end).map_err(|_| MISFIT)?;
        if start < end && end <= self.sql.len() { Ok(start..end) } else { Err(MISFIT) }
    }

    /// The bytes of tokens and what stands between them.
    pub(super) fn text(self, tokens: TokenRange) -> Result<&'a [u8], RewriteError> {
        self.sql.get(self.span(tokens)?).ok_or(MISFIT)
    }

    fn must_be_plain(self, tokens: TokenRange, protected: &ProtectedColumn) -> Result<(), RewriteError> {
        if self.gaps_are_plain(tokens) {
            return Ok(());
        }
        Err(RewriteError::Unsupported {
            column: protected.column.clone(),
            construct: "a versioned comment within a comparison or value",
            remedy: "write the comparison or value without it",
        })
    }

    /// Whether nothing but blanks and ordinary comments stands between the tokens. `/*!` opens an executed comment
    /// and a lone `*/` closes one: were one of the two replaced, the other would be left over.
    fn gaps_are_plain(self, range: TokenRange) -> bool {
        let Ok(run) = self.token_run(range) else { return false };
        run.windows(2).all(|pair| {
            let [left, right] = pair else { return false };
            let gap = left.end as usize..right.start as usize;
            self.sql.get(gap).is_some_and(is_plain_gap)
        })
    }

    /// A literal's value as UTF-8 bytes.
    pub(super) fn literal(
        self,
        tokens: TokenRange,
        protected: &ProtectedColumn,
        cx: &Context<'_>,
    ) -> Result<Plaintext, RewriteError> {
        sql::literal_text(self.sql, self.token_run(tokens)?, &cx.dialect)
            .map(Plaintext::from)
            .map_err(|error| literal_error(error, &protected.column))
    }

    /// Whose a literal is, or what it is bound to, by the literal that says so.
    fn subject(
        self,
        source: &SubjectSource,
        protected: &ProtectedColumn,
        cx: &Context<'_>,
    ) -> Result<Owner, RewriteError> {
        let SubjectValue::Literal(tokens) = source.value else { return Err(MISFIT) };
        let tokens = self.token_run(tokens)?;
        let form = source.form;
        let found = if let Some(number) = sql::integer(self.sql, tokens) {
            form.integer(number, source.place)
        } else if let Some(bytes) = sql::hex_bytes(self.sql, tokens) {
            form.hex(&bytes, source.place)
        } else {
            let text = sql::literal_text(self.sql, tokens, &cx.dialect);
            let text = text.map_err(|_| subject::unclear(UnclearSubject::Converted, protected))?;
            form.bytes_of_text(&text, source.place)
        };
        Owner::of(protected, found.map_err(|error| subject::unclear(error, protected))?)
    }

    fn term(
        self,
        value: Value,
        beside: Beside,
        (protected, keys): (&ProtectedColumn, &ColumnKeys),
        cx: &Context<'_>,
    ) -> Result<Term, RewriteError> {
        Ok(match value {
            Value::Literal(tokens) => {
                let plain = self.literal(tokens, protected, cx)?;
                let ranges = keys.search(&plain).map_err(|error| search_error(&error, &protected.column))?;
                let beside = match beside {
                    Beside::Value if may_be_stored(&plain) => Some(plain),
                    Beside::Value | Beside::Nothing => None,
                };
                Term::Value { ranges, beside }
            }
            Value::Param(_) | Value::Pattern(_) => Term::Param { versions: index_versions(keys, protected)?, beside },
            Value::Null => Term::Null,
        })
    }
}

/// Whose the literals are that a statement stores.
fn literal_subjects(source: Source<'_>, plan: &QueryPlan, cx: &Context<'_>) -> Result<Wanted, RewriteError> {
    let mut wanted = Wanted::default();
    for splice in &plan.splices {
        if let (SpliceKind::Seal(Value::Literal(_)), Some(subject)) = (&splice.kind, &splice.subject) {
            let protected = column(cx, splice.column)?;
            let keys = keys(cx, splice.column, protected)?;
            if keys.stage().writes() == Writes::Envelopes {
                wanted.add(protected, &source.subject(subject, protected, cx)?)?;
            }
        }
    }
    Ok(wanted)
}

/// Appends what is stored of a value, if it fits the logical type: its envelope, or the value itself at a stage that
/// writes plaintext.
///
/// A column of password hashes takes nothing else. Plaintext must be UTF-8, as in a character column. No envelope is: who
/// pastes a stolen one into a column that is not sealed is refused, for it would be opened when it is read.
pub(super) fn store(
    (protected, keys): (&ProtectedColumn, &ColumnKeys),
    owner: Option<&Owner>,
    plain: &Plaintext,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    if let Some(costs) = cx.policy.password_hash(keys.column()) {
        let value = plain.expose();
        let fitting = fitting_octets(protected, value).and_then(|octets| value.get(..octets)).unwrap_or(value);
        let refused = |why| RewriteError::NotAHash { column: protected.column.clone(), why };
        costs.check(fitting).map_err(refused)?;
    }
    put_stored((protected, keys), owner, plain, out)
}

fn put_stored(
    (protected, keys): (&ProtectedColumn, &ColumnKeys),
    owner: Option<&Owner>,
    plain: &Plaintext,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    let seal = |plain: &Plaintext, out: &mut Vec<u8>| match owner {
        Some(Owner::Subject(subject)) if keys.sealing_subjects().is_some() => keys.seal_for(subject, plain, out),
        Some(Owner::Row(row)) => keys.seal_in_row(row, plain, out),
        Some(Owner::Subject(_)) | None => keys.seal(plain, out),
    };
    let value = plain.expose();
    let octets =
        fitting_octets(protected, value).ok_or_else(|| RewriteError::TooLong { column: protected.column.clone() })?;
    let fitting = value.get(..octets).unwrap_or(value);
    match keys.stage().writes() {
        Writes::Plaintext => {
            let text = str::from_utf8(fitting);
            let text = text.map_err(|_| RewriteError::NotText { column: protected.column.clone() })?;
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        Writes::Envelopes if fitting.len() < value.len() => seal(&Plaintext::from(fitting.to_vec()), out),
        Writes::Envelopes => seal(plain, out),
    }
    .map_err(|error| seal_error(&error, &protected.column))
}

/// Appends a value that stands beside a column's in an expression, in the form in which the column's are written. It is
/// shown as it is, so nothing of it is cut off, and one that is wider than the column has no room in its definition.
pub(super) fn show(
    (protected, keys): (&ProtectedColumn, &ColumnKeys),
    plain: &Plaintext,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    match fitting_octets(protected, plain.expose()) {
        Some(octets) if octets == plain.len() => put_stored((protected, keys), None, plain, out),
        Some(_) | None => Err(RewriteError::TooLong { column: protected.column.clone() }),
    }
}

/// Whether a value may stand in a column as it is. What begins like an envelope may not, so a look-up of it must not
/// find the envelope that it may be.
pub(super) fn may_be_stored(plain: &Plaintext) -> bool {
    !plain.expose().starts_with(PLAIN_NEVER)
}

/// What no value begins with, and no cell consists of: an envelope's magic without its version.
pub(super) const PLAIN_NEVER: &[u8] = MAGIC.split_at(3).0;

/// The protected column of a splice.
pub(super) fn column<'a>(cx: &Context<'a>, id: ColumnId) -> Result<&'a ProtectedColumn, RewriteError> {
    cx.policy.column(id).ok_or(RewriteError::PlanMismatch("column"))
}

/// The keys of a column.
pub(super) fn keys<'a>(
    cx: &Context<'a>,
    id: ColumnId,
    protected: &ProtectedColumn,
) -> Result<&'a ColumnKeys, RewriteError> {
    cx.ring.column(id).ok_or_else(|| RewriteError::KeyUnavailable { column: protected.column.clone() })
}

/// How many ranges a lookup in the column asks for: one for each index key that stored envelopes may carry. It is the
/// same for every value.
pub(super) fn index_versions(keys: &ColumnKeys, protected: &ProtectedColumn) -> Result<usize, RewriteError> {
    match keys.index_keys() {
        None => Err(search_error(&SearchError::NotIndexed, &protected.column)),
        Some(IndexKeys::SomeBarred) => Err(search_error(&SearchError::KeyBarred, &protected.column)),
        Some(IndexKeys::All) => Ok(keys.index_versions().count()),
    }
}

/// Whether a gap between tokens is blanks and comments that end within it.
fn is_plain_gap(gap: &[u8]) -> bool {
    let mut rest = gap;
    loop {
        rest = match rest {
            [] => return true,
            [b'/', b'*', b'!', ..] | [b'/', b'*', b'M', b'!', ..] | [b'*', b'/', ..] => return false,
            [b'/', b'*', body @ ..] => match memchr::memmem::find(body, b"*/") {
                Some(end) => body.get(end.saturating_add(2)..).unwrap_or(&[]),
                None => return false,
            },
            [b'#', body @ ..] | [b'-', b'-', body @ ..] => match memchr::memchr(b'\n', body) {
                Some(end) => body.get(end..).unwrap_or(&[]),
                None => return false,
            },
            [_, rest @ ..] => rest,
        }
    }
}

/// Whether a byte can belong to an unquoted identifier, keyword or number.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@' | 0x80..)
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`')
}

#[cfg(test)]
mod tests;
