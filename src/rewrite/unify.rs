//! Uniqueness where a column holds equal values in different forms: envelopes of two index keys, or values beside
//! envelopes. The server's unique index compares bytes, so it does not see that they are equal.
//!
//! Before a statement stores values in such a column, rows that hold the same values in another form than the one that
//! is written today are brought to it. Then the server's own index decides about the statement, as it does on a plain
//! table. This module finds the values and spells the statements; sending them is the data plane's work.

use super::charset::put_converted;
use super::fit::fitting_octets;
use super::form::is_stored_as_text;
use super::params::stored_params;
use super::search::{Term, put_hex, put_predicate};
use super::statement::{Source, column, keys, may_be_stored, search_error};
use super::{Context, LongData, ParamMap, ParamTypes, RewriteError};
use crate::crypto::{ColumnKeys, Envelope, Holds, IndexKeys, OpenError, Plaintext, PrefixRange, SealError, Writes};
use crate::plan::{Comparison, QueryPlan, SpliceKind, Value};
use crate::policy::{ColumnId, DecryptGrant, ProtectedColumn};
use crate::sql::Token;

/// Rows that one look-up gives at most. The next one finds the rest.
const ROWS_MAX: u32 = 100;

/// Values that a statement stores in one column whose uniqueness the server cannot see by itself.
#[derive(Debug)]
pub struct Unification {
    /// The column.
    pub column: ColumnId,
    /// The values.
    pub values: Vec<Plaintext>,
}

/// What a statement stores in columns whose uniqueness the server cannot see by itself. Mostly nothing.
#[derive(Debug, Default)]
pub struct Unifications(Vec<Unification>);

impl Unifications {
    /// Whether there may be anything to do for a plan. Cheap, and the answer is nearly always no.
    pub fn concern(plan: &QueryPlan, cx: &Context<'_>) -> bool {
        plan.splices.iter().any(|splice| matches!(splice.kind, SpliceKind::Seal(_)) && is_mixed(splice.column, cx))
    }

    /// Whether a statement only describes what it would store.
    pub fn is_explained(sql: &[u8], tokens: &[Token]) -> bool {
        let words = ["EXPLAIN", "DESCRIBE", "DESC"];
        tokens.first().is_some_and(|token| words.iter().any(|word| token.is_word(sql, word)))
    }

    /// Adds the values that stand in a statement as literals.
    pub fn add_literals(
        &mut self,
        sql: &[u8],
        tokens: &[Token],
        plan: &QueryPlan,
        cx: &Context<'_>,
    ) -> Result<(), RewriteError> {
        let source = Source { sql, tokens, qualified: &plan.qualified };
        for splice in plan.splices.iter().filter(|splice| is_mixed(splice.column, cx)) {
            if let SpliceKind::Seal(Value::Literal(literal)) = &splice.kind {
                let protected = column(cx, splice.column)?;
                self.add(splice.column, source.literal(*literal, protected, cx)?);
            }
        }
        Ok(())
    }

    /// Adds the values of a COM_STMT_EXECUTE.
    pub fn add_params(
        &mut self,
        payload: &[u8],
        map: &ParamMap,
        types: &mut ParamTypes,
        long_data: &LongData,
        cx: &Context<'_>,
    ) -> Result<(), RewriteError> {
        stored_params(payload, map, types, long_data, cx, |id, plain| {
            if is_mixed(id, cx) {
                self.add(id, plain);
            }
        })
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was added, by column.
    pub fn into_columns(self) -> Vec<Unification> {
        self.0
    }

    fn add(&mut self, column: ColumnId, value: Plaintext) {
        match self.0.iter_mut().find(|part| part.column == column) {
            Some(part) => part.values.push(value),
            None => self.0.push(Unification { column, values: vec![value] }),
        }
    }
}

/// Whether the column is part of a UNIQUE key and may hold the same value in two forms.
fn is_mixed(id: ColumnId, cx: &Context<'_>) -> bool {
    let (Some(protected), Some(keys)) = (cx.policy.column(id), cx.ring.column(id)) else { return false };
    let names = &protected.column;
    let may_differ = match (keys.stage().writes(), keys.stage().holds()) {
        // Under a suspended index key there may be rows too. The look-up is refused then, and with it the write.
        (Writes::Envelopes, Holds::Envelopes) => {
            keys.index_versions().count() > 1 || keys.index_keys() == Some(IndexKeys::SomeBarred)
        }
        (Writes::Envelopes, Holds::Both) => true,
        // A character type can hold no envelope.
        (Writes::Plaintext, Holds::Both | Holds::Envelopes) => !is_stored_as_text(protected, cx),
    };
    may_differ && protected.index.is_some() && cx.catalog.is_in_unique_key(&names.database, &names.table, &names.column)
}

/// The look-up of values in every form but the one that is written today: one column, a bounded number of rows, locked
/// as the statement itself would lock them.
pub fn lookup(id: ColumnId, values: &[Plaintext], cx: &Context<'_>) -> Result<Vec<u8>, RewriteError> {
    let protected = column(cx, id)?;
    let keys = keys(cx, id, protected)?;
    let terms = values.iter().map(|value| other_forms(value, protected, keys)).collect::<Result<Vec<_>, _>>()?;
    let mut name = Vec::new();
    put_name(&protected.column.column, cx, &mut name);
    let mut out = b"SELECT ".to_vec();
    out.extend_from_slice(&name);
    out.extend_from_slice(b" FROM ");
    put_table(protected, cx, &mut out);
    out.extend_from_slice(b" WHERE ");
    put_predicate(&name, Comparison::Equal, &terms, &mut out);
    out.extend_from_slice(format!(" LIMIT {ROWS_MAX} FOR UPDATE").as_bytes());
    Ok(out)
}

fn other_forms(value: &Plaintext, protected: &ProtectedColumn, keys: &ColumnKeys) -> Result<Term, RewriteError> {
    let whole = value.expose();
    let fitting = fitting_octets(protected, whole).and_then(|octets| whole.get(..octets));
    let value = Plaintext::from(fitting.unwrap_or(whole).to_vec());
    let ranges = keys.search(&value).map_err(|error| search_error(&error, &protected.column))?;
    Ok(match (keys.stage().writes(), keys.stage().holds()) {
        (Writes::Envelopes, holds) => {
            // The first is that of the active key.
            let ranges: Vec<PrefixRange> = ranges.into_iter().skip(1).collect();
            let beside = match holds {
                Holds::Both if may_be_stored(&value) => Some(value),
                Holds::Both | Holds::Envelopes => None,
            };
            Term::Value { ranges, beside }
        }
        (Writes::Plaintext, Holds::Both | Holds::Envelopes) => Term::Value { ranges, beside: None },
    })
}

/// The statement that brings a row from the form that the look-up found to the one that is written today. It changes
/// nothing if somebody else was quicker, and leaves columns alone that the server sets on every update.
pub fn conversion(grant: &DecryptGrant, found: &[u8], cx: &Context<'_>) -> Result<Vec<u8>, RewriteError> {
    let id = grant.column();
    let protected = column(cx, id)?;
    let keys = keys(cx, id, protected)?;
    let mut plain = Plaintext::new();
    keys.read(grant, found, None, &mut plain).map_err(|error| match error {
        OpenError::RowBound => without_row(id, cx),
        OpenError::NotGranted
        | OpenError::NotAnEnvelope
        | OpenError::Malformed(_)
        | OpenError::NotRowBound
        | OpenError::UnknownKey(_)
        | OpenError::KeyNotUsable(_)
        | OpenError::Erased(_)
        | OpenError::Tampered => super::row::open_error(&error, grant, cx),
    })?;
    let mut stored = Vec::new();
    match keys.stage().writes() {
        Writes::Plaintext => stored.extend_from_slice(plain.expose()),
        Writes::Envelopes => {
            let sealed = match Envelope::parse(found) {
                Ok(envelope) => keys.seal_again(envelope.kid(), &plain, &mut stored),
                Err(_) => keys.seal(&plain, &mut stored),
            };
            sealed.map_err(|error| match error {
                SealError::NoSubject => without_owner(id, cx),
                SealError::NoRow => without_row(id, cx),
                SealError::Normalise(_)
                | SealError::TooLong
                | SealError::NoActiveKey
                | SealError::Random
                | SealError::UnknownSubject
                | SealError::Erased => super::statement::seal_error(&error, &protected.column),
            })?;
        }
    }
    let mut name = Vec::new();
    put_name(&protected.column.column, cx, &mut name);
    let mut out = b"UPDATE ".to_vec();
    put_table(protected, cx, &mut out);
    out.extend_from_slice(b" SET ");
    out.extend_from_slice(&name);
    out.extend_from_slice(b" = ");
    put_hex(&stored, &mut out);
    let table = cx.catalog.table(&protected.column.database, &protected.column.table);
    let columns = table.map(|table| table.columns.as_slice()).unwrap_or_default();
    for kept in columns.iter().filter(|column| column.extra.contains("on update")) {
        out.extend_from_slice(b", ");
        put_name(&kept.name, cx, &mut out);
        out.extend_from_slice(b" = ");
        put_name(&kept.name, cx, &mut out);
    }
    out.extend_from_slice(b" WHERE ");
    out.extend_from_slice(&name);
    out.extend_from_slice(b" = ");
    put_hex(found, &mut out);
    Ok(out)
}

/// What the account lacks if the server refuses the look-up or the conversion.
pub fn not_allowed(id: ColumnId, cx: &Context<'_>) -> RewriteError {
    unsupported(
        id,
        "a value in a UNIQUE column while its keys or its form change, by an account that may not read and update the table",
        "grant the account SELECT and UPDATE on the table",
        cx,
    )
}

/// A row in an older form has no key of its person's yet, and the value alone does not say whose it is.
fn without_owner(id: ColumnId, cx: &Context<'_>) -> RewriteError {
    unsupported(
        id,
        "a value in a UNIQUE key that also stands in a row which is not sealed for its data subject yet",
        "write that row again for its data subject first",
        cx,
    )
}

/// The value alone does not say what it is bound to.
fn without_row(id: ColumnId, cx: &Context<'_>) -> RewriteError {
    unsupported(
        id,
        "a value in a UNIQUE key that also stands in a row in an older form, where values are bound to their rows,",
        "write that row again first, or let the column's conversion finish",
        cx,
    )
}

/// A value stands in more rows than are brought to one form under a statement.
pub fn too_many_rows(id: ColumnId, cx: &Context<'_>) -> RewriteError {
    unsupported(
        id,
        "a value in a UNIQUE key that stands in a great many rows in an older form",
        "let the column's conversion finish first",
        cx,
    )
}

fn unsupported(id: ColumnId, construct: &'static str, remedy: &'static str, cx: &Context<'_>) -> RewriteError {
    match column(cx, id) {
        Ok(protected) => RewriteError::Unsupported { column: protected.column.clone(), construct, remedy },
        Err(error) => error,
    }
}

fn put_table(protected: &ProtectedColumn, cx: &Context<'_>, out: &mut Vec<u8>) {
    put_name(&protected.column.database, cx, out);
    out.push(b'.');
    put_name(&protected.column.table, cx, out);
}

/// A name in quotes that every SQL mode has, in the client's character set.
pub(super) fn put_name(name: &str, cx: &Context<'_>, out: &mut Vec<u8>) {
    out.push(b'`');
    put_converted(cx.dialect.charset, &name.replace('`', "``").into_bytes(), out);
    out.push(b'`');
}
