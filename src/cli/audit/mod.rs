//! `candado audit`: the record of acts, verified, listed, and written to a file; the record of accesses, verified, searched
//! and summed up.

mod access_key;
mod accesses;
mod export;
mod list;
mod seal;
mod search;
mod verify;

use clap::Subcommand;

use super::Failure;

/// What can be done with the record.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that no act was changed, taken out, put in or cut off; with files, that no access was.
    ///
    /// Reads the record from the key store, or from a file that `audit export` wrote; the latter needs the key provider and
    /// no database. Prints the number and code of the last entry: note both where nobody who writes to the database can
    /// change them, and give them back with --head. Only that shows a record that was put back together with its end.
    /// Exit code 0: intact; 2: intact, and entries of the emergency brake are not under the audit key yet (`audit seal`);
    /// 1: not intact, or it could not be verified.
    ///
    /// Files of `[audit.file]`, oldest first, are the record of accesses: each line is verified under the access key, which
    /// is made from the audit key, and the end is compared with the anchors in the key store. With --key-file an access key
    /// is enough, and neither database nor key provider is asked. A chain must begin with its first segment, unless --from
    /// says that earlier ones were put away.
    #[command(after_help = "Examples:\n  candado audit verify -u candado_auditor --password-env AUDITOR\n  \
        candado audit verify --file record.jsonl --head 41:9f2c..e1\n  \
        candado audit verify accesses.log.000001 accesses.log -u candado_auditor --password-env AUDITOR")]
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
    /// Make the key under which a proxy records accesses.
    ///
    /// It is made from the audit key, so the account's principal must be able to open that one; the proxy never is. With it
    /// the proxy can record accesses under its name, and nothing else. After `keys rotate candado` make it anew.
    #[command(after_help = "Examples:\n  candado audit access-key --name proxy-1 --output access.key \\\n    \
        -u candado_security --password-env SECURITY")]
    AccessKey(access_key::Arguments),
    /// Find accesses to protected cells in files of `[audit.file]`.
    #[command(after_help = "Examples:\n  candado audit search accesses.log* --account support --from 2026-03-04\n  \
        candado audit search accesses.log --column shop.customers.phone --json")]
    Search(search::SearchArguments),
    /// Sum up who was shown how much of which column, day by day.
    #[command(after_help = "Examples:\n  candado audit report accesses.log* --from 2026-03\n  \
        candado audit report accesses.log --account support --json")]
    Report(search::ReportArguments),
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Seal(arguments) => seal::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::AccessKey(arguments) => access_key::run(arguments),
        Command::Search(arguments) => search::find(arguments),
        Command::Report(arguments) => search::report(arguments),
    }
}
