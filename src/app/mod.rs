//! Composition: configuration, provider, key ring, policy, catalog, listener; spawn, wait, drain.

pub mod health;
