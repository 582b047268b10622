//! The file with a proxy's access key: one line, made by `candado audit access-key`.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::crypto::AccessKey;

const WORD: &str = "candado-access-key-1";

/// A proxy's access key, and what it was made from.
#[derive(Debug)]
pub struct ProxyKey {
    /// The deployment.
    pub deployment: String,
    /// The audit key that it was made from.
    pub kid: u32,
    /// Whose key it is.
    pub name: String,
    /// The key.
    pub key: AccessKey,
}

/// Why there is no access key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("cannot read the access key {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} holds no access key; `candado audit access-key` makes one")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl ProxyKey {
    /// Whether a proxy can have that name: letters, digits and `. _ : -`, at most 100 of them.
    pub fn is_name(text: &str) -> bool {
        (1..=100).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
    }

    /// The file's text.
    pub fn to_be_written(&self) -> Zeroizing<String> {
        let Self { deployment, kid, name, key } = self;
        Zeroizing::new(format!("{WORD} {deployment} {kid} {name} {}\n", key.to_be_written().as_str()))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
        Self::read(&text).ok_or_else(|| KeyFileError::Malformed { path: path.to_owned() })
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        (words.next()? == WORD).then_some(())?;
        let deployment = words.next()?.to_owned();
        let kid = words.next()?.parse().ok()?;
        let name = words.next().filter(|name| Self::is_name(name))?.to_owned();
        let key = AccessKey::read(words.next()?)?;
        words.next().is_none().then_some(Self { deployment, kid, name, key })
    }
}
