//! What an error of a provider means for keys in memory.

use super::*;

#[test]
fn an_error_never_both_revokes_and_invites_another_try() {
    let errors = [
        (KeyError::Denied, false, true),
        (KeyError::Disabled, false, true),
        (KeyError::PendingDeletion, false, true),
        (KeyError::NotFound, false, true),
        (KeyError::ContextMismatch, false, true),
        (KeyError::Throttled, true, false),
        (KeyError::Unavailable, true, false),
        (KeyError::Timeout, true, false),
        (KeyError::Protocol(String::new()), false, false),
        (KeyError::Unsupported(""), false, false),
    ];
    for (error, retryable, definitive) in errors {
        assert_eq!((error.retryable(), error.definitive()), (retryable, definitive), "{error:?}");
    }
}
