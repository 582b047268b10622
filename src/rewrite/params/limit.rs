//! Parameters of LIMIT that the proxy carries out by itself.

use super::sent::{Sent, SentValues};
use super::{ParamMap, ParamTypes};
use crate::plan::Sort;
use crate::rewrite::{Context, LongData, RewriteError};
use crate::wire::column::ColumnType;
use crate::wire::execute::{Execute, ParamType, ParamValue};

/// The values that a COM_STMT_EXECUTE gives for the parameters of LIMIT, by their ordinals.
pub fn sort_bounds(
    payload: &[u8],
    sort: &Sort,
    map: &ParamMap,
    types: &mut ParamTypes,
    long_data: &LongData,
    cx: &Context<'_>,
) -> Result<Vec<(u16, u64)>, RewriteError> {
    let mut bounds = Vec::new();
    if sort.params().next().is_none() {
        return Ok(bounds);
    }
    let execute = Execute::parse(payload, map.client_params())?;
    let types = types.update(&execute, map.client_params())?;
    let mut values = SentValues::of(payload, &execute, long_data);
    for (param, param_type) in (0_u16..).zip(types) {
        let Sent { value, bytes, .. } = values.sent(param, *param_type)?;
        if !sort.params().any(|(bound, _)| bound == param) {
            continue;
        }
        let found = match value {
            ParamValue::Inline { .. } => bytes.and_then(|bytes| integer(bytes, *param_type)),
            ParamValue::Null | ParamValue::LongData => None,
        };
        let Some(found) = found else { return Err(no_integer(sort, cx)) };
        bounds.push((param, found));
    }
    Ok(bounds)
}

/// An integer that is not negative.
fn integer(bytes: &[u8], param_type: ParamType) -> Option<u64> {
    let is_integer = matches!(
        param_type.column_type,
        ColumnType::Tiny | ColumnType::Short | ColumnType::Int24 | ColumnType::Long | ColumnType::LongLong
    );
    let (last, _) = bytes.split_last().filter(|_| is_integer)?;
    if !param_type.is_unsigned() && last & 0x80 != 0 {
        return None;
    }
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(whole))
}

fn no_integer(sort: &Sort, cx: &Context<'_>) -> RewriteError {
    match cx.policy.column(sort.column) {
        Some(protected) => RewriteError::Unsupported {
            column: protected.column.clone(),
            construct: "LIMIT by a parameter that is no integer",
            remedy: "bind an integer that is not negative",
        },
        None => RewriteError::PlanMismatch("column"),
    }
}
