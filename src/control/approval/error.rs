//! Why an act is not approved. Each reason has its own words, since each has its own remedy.

/// Why there is no approval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// Nobody has asked.
    #[error("{act} of {subject} needs {threshold} approval(s), and none has been asked for")]
    Needed {
        /// The act.
        act: &'static str,
        /// Its subject.
        subject: String,
        /// Signatures that it takes.
        threshold: usize,
    },
    /// The request's approval has served an act.
    #[error("approval request {id} was used already: an approval serves one act")]
    Used {
        /// The request.
        id: u64,
    },
    /// The request waited too long.
    #[error("approval request {id} expired at {at}")]
    Expired {
        /// The request.
        id: u64,
        /// When.
        at: String,
    },
    /// The key store has changed since.
    #[error("approval request {id} was made for epoch {was} of the key store, which is at {is} now")]
    OtherEpoch {
        /// The request.
        id: u64,
        /// The epoch of the request.
        was: u64,
        /// The epoch now.
        is: u64,
    },
    /// The subject has changed since.
    #[error("approval request {id} was made for version {was} of its subject, which is at {is} now")]
    OtherVersion {
        /// The request.
        id: u64,
        /// The version of the request.
        was: u32,
        /// The version now.
        is: u32,
    },
    /// Signatures are missing.
    #[error("approval request {id} has {have} of {need} signatures")]
    Short {
        /// The request.
        id: u64,
        /// Signatures of distinct configured keys.
        have: usize,
        /// Signatures that it takes.
        need: usize,
    },
    /// There is no such request.
    #[error("there is no approval request {id}")]
    NoSuchRequest {
        /// The number that was given.
        id: u64,
    },
    /// The signature is nobody's who may approve.
    #[error("this is no signature of any configured signer over request {id}")]
    UnknownSigner {
        /// The request.
        id: u64,
    },
    /// The signer has signed before.
    #[error("{name} has signed request {id} already; each signer counts once")]
    AlreadySigned {
        /// The request.
        id: u64,
        /// The signer.
        name: String,
    },
    /// The signer asked for it himself.
    #[error("{name} has asked for request {id}; somebody else has to approve it")]
    OwnRequest {
        /// The request.
        id: u64,
        /// The signer.
        name: String,
    },
    /// No approvals are configured.
    #[error("the configuration names no signers, so nobody can approve: name them under [approval]")]
    NotConfigured,
}

impl ApprovalError {
    /// Whether asking anew is the remedy; otherwise signatures are awaited, or somebody made a mistake.
    pub fn wants_new_request(&self) -> bool {
        match self {
            Self::Needed { .. }
            | Self::Used { .. }
            | Self::Expired { .. }
            | Self::OtherEpoch { .. }
            | Self::OtherVersion { .. } => true,
            Self::Short { .. }
            | Self::NoSuchRequest { .. }
            | Self::UnknownSigner { .. }
            | Self::AlreadySigned { .. }
            | Self::OwnRequest { .. }
            | Self::NotConfigured => false,
        }
    }
}
