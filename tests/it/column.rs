//! `candado column` on real servers: rows that are there already are encrypted, renewed and decrypted, whatever ends the
//! engine or the server in the middle of it. Everything runs under the account of `keys-policy/schema.sql`.

mod bench_table;
mod encrypt;

pub(crate) use bench_table::{Bench, Run};
