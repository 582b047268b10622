//! Under which account the key store is used.

use std::path::PathBuf;

use clap::Args;

use super::{Configured, Failure};
use crate::config::{self, Settings};
use crate::policy;

/// An account of clients as CURRENT_USER() has it; without a host, the host is %. The anonymous user's has a host alone.
pub(super) fn client(written: &str) -> Result<policy::Account, String> {
    let (user, host) = written.rsplit_once('@').unwrap_or((written, "%"));
    if written.is_empty() || host.is_empty() {
        return Err("an account is written USER or USER@HOST, as CURRENT_USER() has it".to_owned());
    }
    Ok(policy::Account { user: user.into(), host: host.into() })
}

/// The configuration, and the account that uses the key store.
#[derive(Debug, Args)]
pub(super) struct Account {
    #[command(flatten)]
    configured: Configured,
    /// The account to use, if it is not that of `[control]`.
    #[arg(short, long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// A file with that account's password.
    #[arg(long, value_name = "FILE", group = "password")]
    password_file: Option<PathBuf>,
    /// An environment variable with that account's password.
    #[arg(long, value_name = "NAME", group = "password")]
    password_env: Option<String>,
}

impl Account {
    /// The configuration under that account.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = config::load(&self.configured.config)?;
        if let Some(user) = &self.user {
            settings.control = config::control(user, self.password_file.as_deref(), self.password_env.as_deref())?;
        }
        Ok(settings)
    }

    /// The key provider of the configuration alone: nothing else in the file has to exist.
    pub(super) fn keys(&self) -> Result<config::Keys, Failure> {
        Ok(config::load_keys(&self.configured.config)?)
    }
}
