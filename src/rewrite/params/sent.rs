//! Parameters as the client sent them: in a COM_STMT_EXECUTE, or before it in pieces.

use crate::crypto::Plaintext;
use crate::rewrite::{LongData, RewriteError};
use crate::wire::WireError;
use crate::wire::column::ColumnType;
use crate::wire::execute::{Arrival, Execute, ExecuteWriter, ParamType, ParamValue, ParamValues};

/// The values of a COM_STMT_EXECUTE with what came before it, in their order.
pub(super) struct SentValues<'a> {
    payload: &'a [u8],
    values: ParamValues<'a>,
    long_data: &'a LongData,
}

/// A parameter as it came.
pub(super) struct Sent<'a> {
    pub(super) value: ParamValue,
    /// `None`: NULL, or kept by nobody but the server.
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) arrival: Arrival,
}

impl<'a> SentValues<'a> {
    pub(super) fn of(payload: &'a [u8], execute: &Execute<'a>, long_data: &'a LongData) -> Self {
        Self { payload, values: execute.values(), long_data }
    }

    /// The next value.
    pub(super) fn sent(&mut self, param: u16, param_type: ParamType) -> Result<Sent<'a>, RewriteError> {
        let held = self.long_data.held(param);
        let before = held.is_some() || self.long_data.is_forwarded(param);
        let arrival = if before { Arrival::Before } else { Arrival::Here };
        let value = self.values.next_value(param_type, arrival)?;
        let bytes = match &value {
            ParamValue::Null => None,
            ParamValue::LongData => held.map(Plaintext::expose),
            ParamValue::Inline { value, .. } => self.payload.get(value.clone()),
        };
        Ok(Sent { value, bytes, arrival })
    }

    /// Makes sure that nothing is left.
    pub(super) fn finish(self) -> Result<(), WireError> {
        self.values.finish()
    }
}

/// The type that a value's bytes are in. Long data are text, whatever type is bound, unless that says bytes.
pub(super) fn as_sent(param_type: ParamType, value: &ParamValue) -> ParamType {
    match value {
        ParamValue::Null | ParamValue::Inline { .. } => param_type,
        ParamValue::LongData if param_type.column_type.is_blob() => param_type,
        ParamValue::LongData => ParamType { column_type: ColumnType::VarString, flags: 0 },
    }
}

/// A parameter as it came.
pub(super) fn put_copied(payload: &[u8], param_type: ParamType, value: ParamValue, writer: &mut ExecuteWriter) {
    match value {
        ParamValue::Null => writer.put_null(param_type),
        ParamValue::LongData => writer.put_long_data(param_type),
        ParamValue::Inline { whole, .. } => writer.put_value(param_type, payload.get(whole).unwrap_or_default()),
    }
}
