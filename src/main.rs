//! The `candado` program.

fn main() {}
