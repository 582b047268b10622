//! The account that `candado column` runs under, and what it opens: policy, key store, key provider.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::super::{Configured, Failure, lock_memory};
use crate::app::{control_settings, load_policy, operator, provider};
use crate::config;
use crate::control::column::{Acts, Engine, Observer, Options};
use crate::control::{KeyStore, Pool, Recorder, SCHEMA, Signers};
use crate::keys::Unwrapper;
use crate::policy::Policy;

/// Whose account.
#[derive(Debug, Args)]
pub(super) struct Account {
    /// The account that converts rows, if it is neither that of `[backfill]` nor that of `[control]`.
    #[arg(short, long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// A file with that account's password.
    #[arg(long, value_name = "FILE", group = "password")]
    password_file: Option<PathBuf>,
    /// An environment variable with that account's password.
    #[arg(long, value_name = "NAME", group = "password")]
    password_env: Option<String>,
}

/// Everything that a command needs.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) policy: Arc<Policy>,
    pub(super) pool: Pool,
    pub(super) store: KeyStore,
    pub(super) unwrapper: Arc<dyn Unwrapper>,
    signers: Signers,
}

impl Opened {
    /// Reads the files and opens the key provider. Connects to no server yet.
    pub(super) async fn new(
        configured: &Configured,
        account: &Account,
        connections_max: usize,
    ) -> Result<Self, Failure> {
        let mut settings = config::load(&configured.config)?;
        if let Some(user) = &account.user {
            settings.control =
                config::control(user, account.password_file.as_deref(), account.password_env.as_deref())?;
        } else if let Some(backfill) = settings.backfill.take() {
            settings.control = backfill;
        }
        lock_memory(&settings)?;
        let policy = load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))?;
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::with_connections(&control_settings(&settings), connections_max);
        let store = KeyStore::new(pool.clone(), SCHEMA);
        Ok(Self { policy: Arc::new(policy), pool, store, unwrapper: provider.unwrapper, signers: settings.approval })
    }

    /// The engine, which records what it does.
    pub(super) async fn engine(&self, options: Options, observer: Arc<dyn Observer>) -> Result<Engine, Failure> {
        let recorder = Recorder::open(&self.store, self.unwrapper.as_ref()).await;
        let recorder = recorder.context("the record of acts cannot be opened")?;
        let actor = self.store.actor(&operator()).await.context("the key store cannot be used")?;
        let (store, unwrapper, policy) = (self.store.clone(), self.unwrapper.clone(), self.policy.clone());
        Ok(Engine::new(
            store,
            unwrapper,
            policy,
            Acts { actor, recorder, signers: self.signers.clone() },
            options,
            observer,
        ))
    }

    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}
