//! Whether keys are there, and the reasons why they are not.

use std::fmt;
use std::sync::Arc;

use crate::control::ControlError;
use crate::keys::{KeyError, RingError};

/// Why keys are not there. For health and logs; names no key and no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeysMissing {
    /// Nothing was tried yet.
    Starting,
    /// The key store cannot be read.
    KeyStore,
    /// The key store has no keys: `keys init` has not run.
    NotInitialised,
    /// The key provider does not answer.
    ProviderUnavailable,
    /// The key provider refuses to open a key.
    ProviderRefuses,
    /// A key is missing, barred, or not the one it should be.
    Keys,
}

impl fmt::Display for KeysMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "keys have not been loaded yet",
            Self::KeyStore => "the key store cannot be read",
            Self::NotInitialised => "the key store is not initialised",
            Self::ProviderUnavailable => "the key provider does not answer",
            Self::ProviderRefuses => "the key provider refuses to open a key",
            Self::Keys => "a key is missing, barred or not the right one",
        })
    }
}

/// Whether a key ring is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysState {
    /// It is.
    Ready,
    /// It is not.
    Missing(KeysMissing),
}

/// Why no ring could be made.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum Failed {
    #[error(transparent)]
    Store(#[from] ControlError),
    #[error("key {kid} of keyset `{keyset}` cannot be opened")]
    Provider {
        kid: u32,
        keyset: Arc<str>,
        #[source]
        source: KeyError,
    },
    #[error("key {kid} of keyset `{keyset}` {what}")]
    Key { kid: u32, keyset: Arc<str>, what: &'static str },
    #[error("the key store was changed in a way that no procedure does: {0}")]
    Distrusted(String),
    #[error("the keys do not make a ring")]
    Ring(#[from] RingError),
    #[error("{keys} keys are lost, and no protected column can do without them")]
    Lost {
        keys: usize,
        /// Why the last of them is.
        class: KeysMissing,
    },
    #[error("opening a key was interrupted")]
    Interrupted,
    #[error("a column is not sealed, and the catalog that tells its type could not be loaded")]
    Catalog,
}

impl Failed {
    pub(super) fn class(&self) -> KeysMissing {
        match self {
            Self::Store(ControlError::NotInitialised) => KeysMissing::NotInitialised,
            Self::Store(_) | Self::Catalog => KeysMissing::KeyStore,
            Self::Provider { source, .. } if source.definitive() => KeysMissing::ProviderRefuses,
            Self::Lost { class, .. } => *class,
            Self::Provider { .. } | Self::Interrupted => KeysMissing::ProviderUnavailable,
            Self::Key { .. } | Self::Distrusted(_) | Self::Ring(_) => KeysMissing::Keys,
        }
    }
}
