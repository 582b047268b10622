//! The bytes of the MySQL client/server protocol: packets, handshake, commands, responses, rows.
//!
//! No I/O, no tasks, no SQL, no keys. Sections quoted are those of the MySQL source documentation, "Client/Server
//! Protocol". Bytes come from peers: nothing here panics on any input.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod error;
pub mod lenenc;

pub use error::WireError;
