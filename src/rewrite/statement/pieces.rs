//! What the proxy's own sort leaves of a part of a statement.

use super::Source;
use crate::plan::Piece;
use crate::policy::ProtectedColumn;
use crate::rewrite::{Context, RewriteError};

/// Appends the pieces with blanks between them.
pub(super) fn put(
    source: Source<'_>,
    pieces: &[Piece],
    (protected, cx): (&ProtectedColumn, &Context<'_>),
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    for (position, piece) in pieces.iter().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        match piece {
            Piece::Words(words) => out.extend_from_slice(words.as_bytes()),
            Piece::Tokens(tokens) => out.extend_from_slice(&source.name(*tokens, protected, cx)?),
        }
    }
    Ok(())
}
