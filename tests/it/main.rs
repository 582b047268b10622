//! Integration tests: the real program in front of a real server, and the tidiness of the source tree.

// A test says what it does by failing: it unwraps, prints a program's output, tells a long story and names only the variant it wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![allow(clippy::too_many_lines, clippy::wildcard_enum_match_arm)]

mod accesses;
#[cfg(feature = "aws-kms")]
mod approvals;
mod bound;
mod budgets;
mod by_name;
mod catalog;
mod clients;
mod column;
mod docs_in_step;
mod elevations;
mod environments;
mod events;
#[path = "../support/fakekms/mod.rs"]
mod fakekms;
#[path = "../support/fakevault/mod.rs"]
mod fakevault;
#[cfg(feature = "aws-kms")]
mod faults;
mod firewall;
mod key_files;
mod key_policies;
#[cfg(feature = "aws-kms")]
mod key_store;
#[cfg(feature = "aws-kms")]
mod key_task;
#[cfg(feature = "aws-kms")]
mod kms;
#[cfg(feature = "aws-kms")]
mod kms_calls;
#[cfg(feature = "aws-kms")]
mod kms_matrix;
mod layering;
mod leaks;
mod lease;
mod lifecycle;
mod login;
mod mariadb_forms;
mod masks;
mod mysql_roles;
mod nested;
#[cfg(feature = "aws-kms")]
mod operations;
mod password_hashes;
mod process;
mod profiles;
mod protected;
mod rates;
#[cfg(feature = "aws-kms")]
mod record;
mod replicas;
mod reprepare;
mod roles;
mod round_trip;
mod routines;
mod sample_app;
mod search;
mod searches;
mod shadow;
mod sort;
mod sort_weights;
mod sql_oracle;
mod stages;
mod statements;
#[cfg(feature = "aws-kms")]
mod subject;
mod support;
mod twin;
mod unique;
mod unknown_key;
mod vault;
mod vulnerable;
