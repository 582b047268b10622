//! Cells for roles that do not see values: masks, and envelopes without their blind index.

use super::charset::to_utf8;
use super::row::{name, open_error};
use super::{Context, ResultColumn, RewriteError};
use crate::crypto::{self, Holds, MAGIC, Plaintext, RowValue};
use crate::policy::{ColumnId, DecryptGrant, Mask, Reads};
use crate::wire::lenenc;

/// Fills `masked` with what a mask leaves of a cell.
pub(super) fn read(
    stored: &[u8],
    (grant, mask): (&DecryptGrant, &Mask),
    (column, row): (ResultColumn, Option<&RowValue>),
    (plain, masked): (&mut Plaintext, &mut Plaintext),
    cx: &Context<'_>,
) -> Result<(), RewriteError> {
    let protected = cx.policy.column(grant.column()).ok_or(RewriteError::PlanMismatch("column"))?;
    let Some(keys) = cx.ring.column(grant.column()) else {
        return Err(RewriteError::KeyUnavailable { column: name(grant, cx)? });
    };
    plain.clear();
    match mask.reads() {
        Reads::Nothing => {}
        Reads::Value if column.holds_bytes(keys) => {
            keys.read(grant, stored, row, plain).map_err(|error| open_error(&error, grant, cx))?;
        }
        // The server has converted the text. Where it says into which set, the mask reads it as UTF-8; elsewhere it is
        // the column's own set, and what is no UTF-8 is hidden wholly.
        Reads::Value => match cx.results_charset {
            Some(charset) if to_utf8(charset, stored, |piece| plain.extend(piece)).is_ok() => {}
            Some(_) | None => plain.extend(stored),
        },
    }
    crypto::mask(mask, keys, protected.logical, plain, masked);
    Ok(())
}

/// Appends a cell as a length-encoded envelope without its blind index. A value that is not encrypted is refused.
pub(super) fn put_envelope(
    stored: &[u8],
    id: ColumnId,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    let column = || cx.policy.column(id).map(|found| found.column.clone());
    // An envelope keeps its length.
    lenenc::put_integer(stored.len() as u64, out);
    if crypto::blurred(stored, out).is_some() {
        return Ok(());
    }
    let column = column().ok_or(RewriteError::PlanMismatch("column"))?;
    let holds = cx.ring.column(id).map_or(Holds::Envelopes, |keys| keys.stage().holds());
    match holds {
        Holds::Both if !stored.starts_with(MAGIC.get(..3).unwrap_or_default()) => Err(RewriteError::Unsupported {
            column,
            construct: "showing the envelope of a value that is not encrypted",
            remedy: "wait until the column is encrypted",
        }),
        Holds::Both | Holds::Envelopes => Err(RewriteError::Tampered { column }),
    }
}
