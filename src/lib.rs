//! Candado: a MySQL wire-protocol proxy that seals protected columns on their way to the server and opens them on
//! their way back.
//!
//! The modules stand in layers, lowest first; a module uses only what stands above it in this list
//! (`tests/it/layering.rs` holds the table and fails on a breach).
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | 0 | [`schema`], [`wire`], [`http`] | names and catalog; bytes of the protocol; calls to services |
//! | 1 | [`sql`], [`policy`] | reading a statement; what is protected and who may see it |
//! | 2 | [`firewall`], [`crypto`], [`budget`] | judging a statement; envelopes and blind indexes; what accounts were shown |
//! | 3 | [`keys`], [`events`] | key ring and key providers; firewall events on their way to their sinks |
//! | 4 | [`audit`] | the record of accesses |
//! | 4 | [`plan`] | what happens to a statement and to its result |
//! | 5 | [`rewrite`] | carrying a plan out on bytes |
//! | 6 | [`client_error`] | our refusals as MySQL errors |
//! | 6 | [`explain`] | what becomes of a statement, in words |
//! | 7 | [`proxy`], [`control`] | the data plane; the control plane |
//! | 8 | [`app`], [`cli`], [`config`], [`telemetry`] | composition |

pub mod http;
pub mod schema;
pub mod wire;

pub mod policy;
pub mod sql;

pub mod budget;
pub mod crypto;
pub mod firewall;

pub mod events;
pub mod keys;

pub mod audit;
pub mod plan;

pub mod rewrite;

pub mod client_error;

pub mod explain;

pub mod control;
pub mod proxy;

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
