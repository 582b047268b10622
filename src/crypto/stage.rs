//! How far a protected column is on its way from plaintext to envelopes, or back.

use std::fmt;

/// The stage of a column. All proxies change it together, through the key store's epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Rows are plaintext and writes are too; policy is known, nothing is sealed yet.
    Plain,
    /// Every write is sealed; rows from before may still be plaintext.
    Encrypting,
    /// Envelopes alone. What is none is an error. A column that the key store says nothing of is sealed.
    #[default]
    Sealed,
    /// Every write is plaintext; rows from before may still be envelopes.
    Decrypting,
}

/// What a write puts into the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writes {
    /// The value itself.
    Plaintext,
    /// An envelope.
    Envelopes,
}

/// What a read may find in the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holds {
    /// Envelopes alone.
    Envelopes,
    /// Envelopes and values side by side.
    Both,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Plain, Self::Encrypting, Self::Sealed, Self::Decrypting];

    /// What a write puts into the column.
    pub const fn writes(self) -> Writes {
        match self {
            Self::Plain | Self::Decrypting => Writes::Plaintext,
            Self::Encrypting | Self::Sealed => Writes::Envelopes,
        }
    }

    /// What a read may find. A proxy that has not heard of the next stage yet must be able to read what the others
    /// write there, so both forms are read from the first stage to the last but one.
    pub const fn holds(self) -> Holds {
        match self {
            Self::Sealed => Holds::Envelopes,
            Self::Plain | Self::Encrypting | Self::Decrypting => Holds::Both,
        }
    }

    /// The name in the key store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypting => "encrypting",
            Self::Sealed => "sealed",
            Self::Decrypting => "decrypting",
        }
    }

    /// The stage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
