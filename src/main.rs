//! The `candado` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    candado::cli::main()
}
