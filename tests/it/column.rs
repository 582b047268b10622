//! `candado column` on real servers: rows that are there already are encrypted, renewed and decrypted, whatever ends the
//! engine or the server in the middle of it. Everything runs under the account of `keys-policy/schema.sql`.

mod approval;
mod bench;
mod bound;
mod brakes;
mod circle;
mod drain;
mod encrypt;
mod interrupted;
mod killed;
mod live;
mod moved;
mod preflight;
mod primary_keys;
mod proofs;
mod reader;
mod seeded;
mod subject;

use bench::{Bench, shared};
