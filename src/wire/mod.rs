//! The bytes of the MySQL client/server protocol: packets, handshake, commands, responses, rows.
//!
//! No I/O, no tasks, no SQL, no keys. Sections quoted are those of the MySQL source documentation, "Client/Server
//! Protocol". Bytes come from peers: nothing here panics on any input.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

pub mod auth;
pub mod binary_row;
mod capability;
pub mod column;
pub mod command;
pub mod err;
mod error;
pub mod execute;
pub mod greeting;
pub mod lenenc;
pub mod login;
pub mod ok;
pub mod packet;
pub mod response;
pub mod result_set;
pub mod text_row;

pub use capability::Capabilities;
pub use error::WireError;
