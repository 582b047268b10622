//! Parameters of prepared statements: COM_STMT_EXECUTE as the client wrote it becomes one for the rewritten statement.
//!
//! A stored parameter stays one parameter. A searched one becomes two bounds for each live index version, and the value
//! itself where the column may hold it, in the order in which [`super::statement()`] wrote their `?`. All others are
//! copied.

mod limit;
mod sent;

use self::sent::{Sent, SentValues, as_sent, put_copied};
use super::form::{LiteralForm, SearchForm};
use super::search::Beside;
use super::statement::{PLAIN_NEVER, column, index_versions, keys, may_be_stored, search_error, show, store};
use super::subject::{Owner, Wanted, unclear};
use super::value::{self, Purpose};
use super::{Context, LongData, LongDataRoute, PAYLOAD_OCTETS_MAX, RewriteError};
use crate::crypto::{ColumnKeys, Plaintext, Writes};
use crate::plan::{Comparison, QueryPlan, Sort, Splice, SpliceKind, SubjectSource, SubjectValue, Value};
use crate::policy::{ColumnId, ProtectedColumn};
use crate::schema::UnclearSubject;
use crate::wire::WireError;
use crate::wire::column::ColumnType;
use crate::wire::execute::{Arrival, Execute, ExecuteWriter, ParamType, ParamValue};

pub use limit::sort_bounds;

/// What becomes of one parameter of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Copied.
    Copy,
    /// Copied, if it is text.
    Text(ColumnId),
    /// Stored in a column. What the statement says of it depends on what is written.
    Store(ColumnId, Writes),
    /// Shown beside the values of a column.
    Show(ColumnId, Writes),
    /// Looked up in a column.
    Search(Search),
    /// The proxy's own affair; the server is given this integer.
    Given(u64),
}

/// A parameter that is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    column: ColumnId,
    versions: usize,
    beside: Beside,
    null: NullTerm,
    reading: Reading,
}

/// What a parameter that is looked up says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The value.
    Value,
    /// A pattern of LIKE, which is a value as long as it has no wildcard.
    Pattern,
}

/// What a NULL parameter means in a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NullTerm {
    /// The comparison is NULL: both bounds are.
    Bounds,
    /// The comparison is with NULL itself: the bounds enclose nothing and one more parameter is NULL.
    Marker,
}

impl Use {
    fn server_params(self) -> usize {
        match self {
            Self::Copy | Self::Text(_) | Self::Store(..) | Self::Show(..) | Self::Given(_) => 1,
            Self::Search(Search { versions, beside, null, .. }) => {
                versions.saturating_mul(2).saturating_add(match (beside, null) {
                    (Beside::Nothing, NullTerm::Bounds) => 0,
                    // The value itself is the marker.
                    (Beside::Value, NullTerm::Bounds | NullTerm::Marker) | (Beside::Nothing, NullTerm::Marker) => 1,
                })
            }
        }
    }

    /// What becomes of a splice's parameters.
    fn of(
        splice: &Splice,
        plan: &QueryPlan,
        (protected, keys): (&ProtectedColumn, &ColumnKeys),
        cx: &Context<'_>,
    ) -> Result<Self, RewriteError> {
        let comparison = match &splice.kind {
            SpliceKind::Seal(_) => return Ok(Self::Store(splice.column, keys.stage().writes())),
            SpliceKind::Search { comparison, .. } => *comparison,
            SpliceKind::NullIf { .. } => Comparison::Equal,
            SpliceKind::Constant(_) if SearchForm::of(keys, protected, cx) == SearchForm::AsWritten => {
                return Ok(Self::Copy);
            }
            SpliceKind::Constant(_) => return Ok(Self::Show(splice.column, keys.stage().writes())),
            SpliceKind::Match { .. }
            | SpliceKind::Rows { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Set(_)
            | SpliceKind::Kept(_) => {
                return Ok(Self::Copy);
            }
        };
        let beside = match SearchForm::of(keys, protected, cx) {
            // Who does not see the values may ask for equal ones. The server takes more texts for equal to a number.
            SearchForm::AsWritten if plan.is_granted(splice) => return Ok(Self::Text(splice.column)),
            SearchForm::AsWritten => return Ok(Self::Copy),
            SearchForm::Envelopes => Beside::Nothing,
            SearchForm::Both => Beside::Value,
        };
        let null = match comparison {
            Comparison::Equal | Comparison::NotEqual => NullTerm::Bounds,
            Comparison::NullSafeEqual => NullTerm::Marker,
        };
        let versions = index_versions(keys, protected)?;
        Ok(Self::Search(Search { column: splice.column, versions, beside, null, reading: Reading::Value }))
    }

    /// The same for one of the splice's values.
    fn of_value(self, value: Value) -> Self {
        match (self, value) {
            (Self::Search(search), Value::Pattern(_)) => Self::Search(Search { reading: Reading::Pattern, ..search }),
            (
                Self::Copy | Self::Text(_) | Self::Store(..) | Self::Show(..) | Self::Search(_) | Self::Given(_),
                Value::Literal(_) | Value::Param(_) | Value::Pattern(_) | Value::Null,
            ) => self,
        }
    }
}

/// Which parameters of the server's statement stand for which of the client's, and what its literals were made with:
/// as long as a new map equals the old one, the statement that the server holds is the one that would be sent today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamMap {
    uses: Vec<Use>,
    /// The first server parameter of each client parameter.
    firsts: Vec<usize>,
    server_params: usize,
    literals: Vec<LiteralForm>,
    /// Whose stored parameters are: the stored one, the one that says so.
    subjects: Vec<(u16, u16, SubjectSource)>,
}

impl ParamMap {
    /// The map of a plan; `None` if it neither stores nor looks up anything. The context must be the one that the
    /// statement was rewritten with.
    pub fn of(plan: &QueryPlan, cx: &Context<'_>) -> Result<Option<Self>, RewriteError> {
        const MISFIT: RewriteError = RewriteError::PlanMismatch("parameters");
        let mut uses = vec![Use::Copy; usize::from(plan.params)];
        let mut literals = Vec::new();
        let mut next = 0_usize;
        let mut subjects = Vec::new();
        for splice in plan.splices.iter().flat_map(Splice::parts) {
            let protected = column(cx, splice.column)?;
            let keys = keys(cx, splice.column, protected)?;
            let found = Use::of(splice, plan, (protected, keys), cx)?;
            let values = match &splice.kind {
                SpliceKind::Seal(value) | SpliceKind::Constant(value) | SpliceKind::NullIf { value, .. } => {
                    std::slice::from_ref(value)
                }
                SpliceKind::Operand | SpliceKind::AnyOf { .. } => {
                    literals.push(LiteralForm::searched(keys, protected, cx));
                    &[]
                }
                SpliceKind::Search { values, .. } => values.as_slice(),
                // Its parts are here one by one.
                SpliceKind::Rows { .. } | SpliceKind::Sorted(_) | SpliceKind::Kept(_) => &[],
                SpliceKind::Joined(_) | SpliceKind::Set(_) => {
                    for id in splice.compared() {
                        let compared = column(cx, id)?;
                        literals.push(LiteralForm::searched(self::keys(cx, id, compared)?, compared, cx));
                    }
                    &[]
                }
                SpliceKind::Match { other, .. } | SpliceKind::Tag { like: other, .. } => {
                    let compared = column(cx, *other)?;
                    literals.push(LiteralForm::searched(keys, protected, cx));
                    literals.push(LiteralForm::searched(self::keys(cx, *other, compared)?, compared, cx));
                    &[]
                }
            };
            for value in values {
                let param = match value {
                    Value::Null => continue,
                    Value::Literal(_) => {
                        literals.push(LiteralForm::of(splice, keys, protected, cx));
                        continue;
                    }
                    Value::Param(param) | Value::Pattern(param) => usize::from(*param),
                };
                let found = found.of_value(*value);
                // Parameters are counted through the text, so anything else would pair values with the wrong `?`.
                if param < next {
                    return Err(MISFIT);
                }
                next = param.saturating_add(1);
                *uses.get_mut(param).ok_or(MISFIT)? = found;
                match (found, splice.subject) {
                    (Use::Store(_, Writes::Envelopes), Some(source)) => {
                        let SubjectValue::Param(owner) = source.value else { return Err(MISFIT) };
                        subjects.push((u16::try_from(param).map_err(|_| MISFIT)?, owner, source));
                    }
                    (Use::Store(..) | Use::Show(..) | Use::Copy | Use::Text(_) | Use::Search(_) | Use::Given(_), _) => {
                    }
                }
            }
        }
        for id in &plan.copies {
            let copied = column(cx, *id)?;
            literals.push(LiteralForm::searched(keys(cx, *id, copied)?, copied, cx));
        }
        for (param, given) in plan.sort.iter().flat_map(Sort::params) {
            *uses.get_mut(usize::from(param)).ok_or(MISFIT)? = Use::Given(given);
        }
        Ok((next > 0 || !literals.is_empty() || plan.sort.is_some())
            .then(|| Self { subjects, ..Self::new(uses, literals) }))
    }

    /// The map of a statement of so many parameters, all of them copied: for a statement that the server does not know
    /// the types of yet.
    pub fn copies(params: u16) -> Self {
        Self::new(vec![Use::Copy; usize::from(params)], Vec::new())
    }

    fn new(uses: Vec<Use>, literals: Vec<LiteralForm>) -> Self {
        let mut server_params = 0_usize;
        let mut firsts = Vec::with_capacity(uses.len());
        for used in &uses {
            firsts.push(server_params);
            server_params = server_params.saturating_add(used.server_params());
        }
        Self { uses, firsts, server_params, literals, subjects: Vec::new() }
    }

    /// Whether COM_STMT_EXECUTE has to be rewritten. Otherwise it passes as it is.
    pub fn changes_parameters(&self) -> bool {
        self.uses.iter().any(|used| *used != Use::Copy)
    }

    /// How many parameters the client's statement has.
    pub fn client_params(&self) -> u16 {
        u16::try_from(self.uses.len()).unwrap_or(u16::MAX)
    }

    /// How many parameters the server's statement has. The protocol counts to 65,535; the server refuses more.
    pub fn server_params(&self) -> usize {
        self.server_params
    }

    /// The client's parameter that a parameter definition of COM_STMT_PREPARE's answer is shown for; `None` if the
    /// definition is left out.
    pub fn shown_for(&self, server_param: usize) -> Option<u16> {
        self.firsts.binary_search(&server_param).ok().and_then(|param| u16::try_from(param).ok())
    }

    /// Where a piece of a parameter's long data goes.
    pub fn long_data_route(&self, param: u16) -> LongDataRoute {
        let param = usize::from(param);
        match (self.uses.get(param), self.firsts.get(param).map(|first| u16::try_from(*first))) {
            (Some(Use::Copy | Use::Text(_)), Some(Ok(server_param))) => LongDataRoute::Forward { server_param },
            (Some(Use::Store(..) | Use::Show(..) | Use::Search(_) | Use::Given(_)), _) => LongDataRoute::Hold,
            (Some(Use::Copy | Use::Text(_)) | None, _) => LongDataRoute::Unknown,
        }
    }
}

/// The types that a client sent last for a prepared statement: they hold until it sends others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamTypes(Vec<ParamType>);

impl ParamTypes {
    /// Keeps the types of an execution that passes as it is, if it brings any. What is wrong with it, the server says.
    pub fn observe(&mut self, payload: &[u8], params: u16) {
        let types =
            Execute::parse(payload, params).ok().and_then(|execute| execute.types()?.collect::<Result<_, _>>().ok());
        if let Some(types) = types {
            self.0 = types;
        }
    }

    /// Whether the client has ever sent types.
    pub fn are_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// The types of this execution, kept for the next ones.
    fn update(&mut self, execute: &Execute<'_>, params: u16) -> Result<&[ParamType], RewriteError> {
        if let Some(types) = execute.types() {
            self.0 = types.collect::<Result<_, WireError>>()?;
        }
        if self.0.len() == usize::from(params) {
            Ok(&self.0)
        } else {
            Err(WireError::Malformed("COM_STMT_EXECUTE without parameter types").into())
        }
    }
}

/// Rewrites a COM_STMT_EXECUTE, command byte included, and appends it. Types are always sent with it, because they are
/// not those that the client sent.
pub fn execute(
    payload: &[u8],
    map: &ParamMap,
    types: &mut ParamTypes,
    long_data: &LongData,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    put_execute(payload, map, types, long_data, Some(cx), out)
}

/// The same for a map that only copies, as [`ParamMap::copies`] makes it: no keys are needed.
pub fn execute_copied(
    payload: &[u8],
    map: &ParamMap,
    types: &mut ParamTypes,
    long_data: &LongData,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    put_execute(payload, map, types, long_data, None, out)
}

fn put_execute(
    payload: &[u8],
    map: &ParamMap,
    types: &mut ParamTypes,
    long_data: &LongData,
    cx: Option<&Context<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    let keys = || cx.ok_or(RewriteError::PlanMismatch("keys"));
    let execute = Execute::parse(payload, map.client_params())?;
    let types = types.update(&execute, map.client_params())?;
    let owners = match cx {
        Some(cx) if !map.subjects.is_empty() => owners(payload, &execute, map, types, long_data, cx)?,
        Some(_) | None => Vec::new(),
    };
    let mut values = SentValues::of(payload, &execute, long_data);
    let mut writer = ExecuteWriter::default();
    let mut plain = Plaintext::new();
    for ((param, used), param_type) in (0_u16..).zip(&map.uses).zip(types) {
        let Sent { value, bytes, .. } = values.sent(param, *param_type)?;
        match *used {
            Use::Copy => put_copied(payload, *param_type, value, &mut writer),
            Use::Text(id) => {
                if value != ParamValue::Null {
                    let (cx, text) = (keys()?, bytes.unwrap_or_default());
                    value::read(
                        text,
                        *param_type,
                        Purpose::Search,
                        cx.dialect.charset,
                        &column(cx, id)?.column,
                        &mut plain,
                    )?;
                }
                put_copied(payload, *param_type, value, &mut writer);
            }
            Use::Given(integer) => {
                let param_type = ParamType { column_type: ColumnType::LongLong, flags: 0x80 };
                writer.put_value(param_type, &integer.to_le_bytes());
            }
            Use::Store(id, _) => {
                let owner = owners.binary_search_by_key(&param, |(stored, _)| *stored).ok();
                let owner = owner.and_then(|at| owners.get(at)).map(|(_, owner)| owner);
                let (cx, sent) = (keys()?, as_sent(*param_type, &value));
                put_made(bytes, sent, id, cx, (&mut plain, &mut writer), |keys, plain, out| {
                    store(keys, owner, plain, cx, out)
                })?;
            }
            Use::Show(id, _) => {
                put_made(bytes, as_sent(*param_type, &value), id, keys()?, (&mut plain, &mut writer), show)?;
            }
            Use::Search(search) => {
                put_bounds(bytes, as_sent(*param_type, &value), &search, keys()?, &mut plain, &mut writer)?;
            }
        }
        if writer.len() > PAYLOAD_OCTETS_MAX {
            return Err(RewriteError::TooLarge);
        }
    }
    values.finish()?;
    writer.finish(&execute, out);
    Ok(())
}

/// Whose the stored parameters are, or what they are bound to, by their ordinals. NULL is nobody's.
fn owners(
    payload: &[u8],
    execute: &Execute<'_>,
    map: &ParamMap,
    types: &[ParamType],
    long_data: &LongData,
    cx: &Context<'_>,
) -> Result<Vec<(u16, Owner)>, RewriteError> {
    let mut values = SentValues::of(payload, execute, long_data);
    let mut sent = Vec::with_capacity(types.len());
    for (param, param_type) in (0_u16..).zip(types) {
        let Sent { value, bytes, arrival } = values.sent(param, *param_type)?;
        sent.push((as_sent(*param_type, &value), bytes, arrival));
    }
    let mut owners = Vec::with_capacity(map.subjects.len());
    let mut wanted = Wanted::default();
    for (stored, owner, source) in &map.subjects {
        let Some((_, Some(_), _)) = sent.get(usize::from(*stored)) else { continue };
        let Some(Use::Store(id, _)) = map.uses.get(usize::from(*stored)) else { continue };
        let protected = column(cx, *id)?;
        let value = match sent.get(usize::from(*owner)) {
            Some((param_type, Some(bytes), Arrival::Here)) => {
                value::subject(bytes, *param_type, source, cx.dialect.charset)
            }
            // In pieces: what they are together only the server knows.
            Some((_, _, Arrival::Before)) => Err(UnclearSubject::Converted),
            Some((_, None, Arrival::Here)) | None => Err(UnclearSubject::Null),
        };
        let owner = Owner::of(protected, value.map_err(|error| unclear(error, protected))?)?;
        wanted.add(protected, &owner)?;
        owners.push((*stored, owner));
    }
    wanted.all_there(cx)?;
    Ok(owners)
}

/// Hands over the values that a COM_STMT_EXECUTE stores in protected columns.
pub(super) fn stored_params(
    payload: &[u8],
    map: &ParamMap,
    types: &mut ParamTypes,
    long_data: &LongData,
    cx: &Context<'_>,
    mut put: impl FnMut(ColumnId, Plaintext),
) -> Result<(), RewriteError> {
    let execute = Execute::parse(payload, map.client_params())?;
    let types = types.update(&execute, map.client_params())?;
    let mut values = SentValues::of(payload, &execute, long_data);
    for ((param, used), param_type) in (0_u16..).zip(&map.uses).zip(types) {
        let Sent { value, bytes, .. } = values.sent(param, *param_type)?;
        if let (Use::Store(id, _), Some(bytes)) = (*used, bytes) {
            let protected = column(cx, id)?;
            let mut plain = Plaintext::new();
            let sent = as_sent(*param_type, &value);
            value::read(bytes, sent, Purpose::Seal, cx.dialect.charset, &protected.column, &mut plain)?;
            put(id, plain);
        }
    }
    Ok(())
}

/// Puts what `make` makes of a value. NULL stays NULL.
fn put_made(
    bytes: Option<&[u8]>,
    param_type: ParamType,
    id: ColumnId,
    cx: &Context<'_>,
    (plain, writer): (&mut Plaintext, &mut ExecuteWriter),
    make: impl FnOnce((&ProtectedColumn, &ColumnKeys), &Plaintext, &mut Vec<u8>) -> Result<(), RewriteError>,
) -> Result<(), RewriteError> {
    let Some(bytes) = bytes else {
        writer.put_null(ParamType::BLOB);
        return Ok(());
    };
    let protected = column(cx, id)?;
    value::read(bytes, param_type, Purpose::Seal, cx.dialect.charset, &protected.column, plain)?;
    let mut made = Vec::new();
    make((protected, keys(cx, id, protected)?), plain, &mut made)?;
    writer.put_string(ParamType::BLOB, &made);
    Ok(())
}

fn put_bounds(
    bytes: Option<&[u8]>,
    param_type: ParamType,
    search: &Search,
    cx: &Context<'_>,
    plain: &mut Plaintext,
    writer: &mut ExecuteWriter,
) -> Result<(), RewriteError> {
    let bounds = search.versions.saturating_mul(2);
    match (bytes, search.null) {
        (None, NullTerm::Bounds) => {
            (0..bounds).for_each(|_| writer.put_null(ParamType::BLOB));
            match search.beside {
                Beside::Nothing => {}
                Beside::Value => writer.put_null(ParamType::BLOB),
            }
        }
        (None, NullTerm::Marker) => {
            (0..bounds).for_each(|_| writer.put_string(ParamType::BLOB, &[]));
            writer.put_null(ParamType::BLOB);
        }
        (Some(bytes), null) => {
            let protected = column(cx, search.column)?;
            value::read(bytes, param_type, Purpose::Search, cx.dialect.charset, &protected.column, plain)?;
            match search.reading {
                Reading::Value => {}
                Reading::Pattern => must_be_without_wildcard(plain, protected)?,
            }
            let keys = keys(cx, search.column, protected)?;
            let ranges = keys.search(plain).map_err(|error| search_error(&error, &protected.column))?;
            if ranges.len() > search.versions {
                return Err(RewriteError::Outdated);
            }
            // Fewer than there are `?` for: bounds that enclose nothing add nothing.
            for position in 0..search.versions {
                let (low, high) = match ranges.get(position) {
                    // An index prefix starts with the envelope's magic, so there is always a successor.
                    Some(range) => {
                        let high = range.high.as_deref();
                        (range.low.as_slice(), high.ok_or(RewriteError::PlanMismatch("index prefix"))?)
                    }
                    None => (&[][..], &[][..]),
                };
                writer.put_string(ParamType::BLOB, low);
                writer.put_string(ParamType::BLOB, high);
            }
            match (search.beside, null) {
                (Beside::Nothing, NullTerm::Bounds) => {}
                (Beside::Nothing, NullTerm::Marker) => writer.put_string(ParamType::BLOB, &[]),
                (Beside::Value, NullTerm::Bounds | NullTerm::Marker) => {
                    let value = if may_be_stored(plain) { plain.expose() } else { PLAIN_NEVER };
                    writer.put_string(ParamType::BLOB, value);
                }
            }
        }
    }
    Ok(())
}

/// A backslash makes the next character an ordinary one, or ends another escape: it is not read here.
fn must_be_without_wildcard(pattern: &Plaintext, protected: &ProtectedColumn) -> Result<(), RewriteError> {
    if !pattern.expose().iter().any(|byte| matches!(byte, b'%' | b'_' | b'\\')) {
        return Ok(());
    }
    Err(RewriteError::Unsupported {
        column: protected.column.clone(),
        construct: "LIKE with a parameter that has a wildcard or a backslash",
        remedy: "bind the whole value: a pattern cannot be searched for in envelopes",
    })
}

#[cfg(test)]
mod tests;
