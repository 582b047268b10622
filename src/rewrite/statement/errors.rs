//! What fails in a statement, as the client hears of it: without a value.

use crate::crypto::{NormaliseError, SealError, SearchError};
use crate::rewrite::RewriteError;
use crate::schema::ColumnRef;
use crate::sql::LiteralError;

/// A literal without a value, as the client hears of it.
pub(super) fn literal_error(error: LiteralError, column: &ColumnRef) -> RewriteError {
    let column = column.clone();
    let remedy = "write the value as a string literal or bind it as a string";
    match error {
        LiteralError::NotText => RewriteError::Unsupported { column, construct: "a literal that is no string", remedy },
        LiteralError::UnsupportedCharset => {
            RewriteError::Unsupported { column, construct: "a literal in a character set that is not read", remedy }
        }
        LiteralError::InvalidText => RewriteError::NotText { column },
    }
}

/// A failed seal as the client hears of it.
pub(in crate::rewrite) fn seal_error(error: &SealError, column: &ColumnRef) -> RewriteError {
    let column = column.clone();
    match error {
        SealError::Normalise(NormaliseError::NotUtf8) => RewriteError::NotText { column },
        SealError::TooLong => RewriteError::TooLong { column },
        SealError::NoActiveKey => RewriteError::NoActiveKey { column },
        SealError::NoSubject => RewriteError::PlanMismatch("data subject"),
        SealError::NoRow => RewriteError::PlanMismatch("row"),
        SealError::UnknownSubject => RewriteError::WithoutSubjectKeys { column, wanted: Vec::new() },
        SealError::Erased => RewriteError::SubjectErased { column },
        SealError::Random => RewriteError::NoRandom { column },
    }
}

/// A failed lookup as the client hears of it.
pub(in crate::rewrite) fn search_error(error: &SearchError, column: &ColumnRef) -> RewriteError {
    let column = column.clone();
    match error {
        SearchError::NotIndexed => RewriteError::Unsupported {
            column,
            construct: "a comparison",
            remedy: "declare a blind index for the column in policy",
        },
        SearchError::KeyBarred => RewriteError::IndexKeyBarred { column },
        SearchError::Normalise(NormaliseError::NotUtf8) => RewriteError::NotText { column },
    }
}
