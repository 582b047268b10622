//! The data plane: clients on one side, the server on the other, one task for each pair.
//!
//! Carries packets and carries out plans; never calls a key service, never waits without a bound. What a statement may do
//! is [`crate::plan`]'s to say, how bytes change is [`crate::rewrite`]'s.

mod acquaintance;
mod answer;
mod binary;
mod budget;
mod buffer;
mod catalog;
mod decision;
mod disclosing;
mod end;
mod exchange;
mod expired;
mod explain;
mod honey;
mod keys;
mod lease;
mod listener;
mod login;
mod named;
mod opened;
mod peer;
mod prepared;
mod probe;
mod rates;
mod registry;
mod replaced;
mod reprepare;
mod rsa;
mod searching;
mod session;
mod settings;
mod shadow;
mod snapshot;
mod state;
mod statement;
mod stream;
mod unify;

pub use catalog::{CatalogRefresh, RefreshRequest};
pub use keys::{KeyRefresh, KeyRequest, KeysWanted};
pub use lease::WriteLease;
pub use listener::{Drain, Parts, ServeError, serve};
pub use registry::{Connection, Counters, Registry, Totals};
pub use settings::{ClientTls, Limits, Server, ServerTls, Settings, Timeouts, WithoutKeys};
pub use snapshot::{ShadowBar, Snapshot, check_shadow};
