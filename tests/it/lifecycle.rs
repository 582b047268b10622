//! Keys from their making to their end: the acts of the key store under the accounts of `keys-policy/schema.sql`, and the
//! program's verbs around a proxy that serves.

mod brake;
#[cfg(feature = "aws-kms")]
mod carry;
#[cfg(feature = "aws-kms")]
mod cut;
mod program;
mod proofs;
#[cfg(feature = "aws-kms")]
mod rewrap;
#[cfg(feature = "aws-kms")]
mod service;
#[cfg(feature = "aws-kms")]
mod store;

pub(crate) use proofs::age;
