//! `candado audit`: the record of acts, verified, listed, and written to a file.

mod export;
mod list;
mod seal;
mod verify;

use clap::Subcommand;

use super::Failure;

/// What can be done with the record.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that no act was changed, taken out, put in or cut off.
    ///
    /// Reads the record from the key store, or from a file that `audit export` wrote; the latter needs the key provider and
    /// no database. Prints the number and code of the last entry: note both where nobody who writes to the database can
    /// change them, and give them back with --head. Only that shows a record that was put back together with its end.
    /// Exit code 0: intact; 2: intact, and entries of the emergency brake are not under the audit key yet (`audit seal`);
    /// 1: not intact, or it could not be verified.
    #[command(after_help = "Examples:\n  candado audit verify -u candado_auditor --password-env AUDITOR\n  \
        candado audit verify --file record.jsonl --head 41:9f2c..e1")]
    Verify(verify::Arguments),
    /// Put entries of the emergency brake under the audit key that were written without it.
    ///
    /// `candado keys suspend` acts also when the audit key cannot be opened. Its entry is linked to those before, and
    /// whoever writes to the database could exchange it, until an act under the audit key seals it: the next one, or this.
    /// Compare these entries with what you know before (`audit list`): afterwards they count as genuine.
    #[command(after_help = "Examples:\n  candado audit seal -u candado_security --password-env SECURITY")]
    Seal(seal::Arguments),
    /// Show who did what, when, and how it was before and after.
    #[command(after_help = "Examples:\n  candado audit list --act key.destroy\n  \
        candado audit list --subject 'key 7' --from 2026-01-01 --json")]
    List(list::Arguments),
    /// Write the record to a file that can be verified elsewhere.
    ///
    /// JSON, one object on each line, with the wrapped audit keys. Nothing in it is secret by itself.
    #[command(after_help = "Examples:\n  candado audit export --output record.jsonl")]
    Export(export::Arguments),
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Seal(arguments) => seal::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Export(arguments) => export::run(arguments),
    }
}
