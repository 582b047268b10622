//! `candado keys`: the life of keys, for the security team. One file for each group of verbs; the rules are the key
//! store's. No key is ever in anybody's hands here.

mod act;
mod acting;
mod add_wrap;
mod confirm;
mod create;
mod end;
mod init;
mod list;
mod rewrap;
mod rotate;
mod rotate_kek;
mod show;
mod subjects;

use clap::Subcommand;

use super::{Facts, Failure};
pub(super) use acting::{HINT, may_not_write};
pub(super) use init::initialise;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the key-encryption key (key file only) and the first data and index keys that policy needs.
    ///
    /// Makes what is missing and says what it made; running it again changes nothing. A key file is made only for a key
    /// store without keys: for an existing one, a new key-encryption key would open nothing. Needs an account that may
    /// write to the key store, see keys-policy/schema.sql.
    #[command(after_help = "Examples:
  candado keys init --config /etc/candado/candado.toml
  candado keys init --user candado_security --password-file /run/secrets/candado-security")]
    Init(init::Arguments),
    /// List keys, their states and the proxies that use them. Shows no secret.
    #[command(after_help = "Examples:
  candado keys list --config /etc/candado/candado.toml
  candado keys list --json | jq '.keys[] | select(.state == \"active\")'")]
    List(Facts),
    /// Show one key: its times, its wraps, what can be done with it next, and which backups need it.
    #[command(after_help = "Examples:
  candado keys show 6")]
    Show(show::Arguments),
    /// Make a pending key. Nothing is written under it until it is activated.
    ///
    /// `candado keys rotate` makes, waits and activates in one command; this is its first step alone.
    #[command(after_help = "Examples:
  candado keys create contact --purpose data")]
    Create(create::Arguments),
    /// Make a pending key the one that writes. The key that wrote until now only reads from then on.
    ///
    /// Refused until every living proxy knows the key, so that none meets a value that it cannot open.
    #[command(after_help = "Examples:
  candado keys activate 7")]
    Activate(act::Arguments),
    /// Rotate a keyset's key: make a new one, wait until every proxy knows it, activate it.
    ///
    /// Existing rows stay under the old key, which goes on reading; `candado column reencrypt` (data keys) and `candado
    /// column reindex` (index keys) move them. After a crash or a time-out, run the same command again: it goes on with
    /// the key that is pending. If it had finished already, running it again is another rotation.
    #[command(after_help = "Examples:
  candado keys rotate contact
  candado keys rotate contact --purpose index --dry-run
  candado keys rotate candado   # the audit key, which authenticates the record of acts")]
    Rotate(rotate::Arguments),
    /// The emergency brake: proxies drop the key within two seconds, and what is sealed under it cannot be read.
    ///
    /// Takes one person, and no key service: if the audit key cannot be opened, the act is recorded without it, and
    /// sealed later (`candado audit seal`). Letting go of the brake (`resume`) takes approval where that is configured.
    #[command(after_help = "Examples:
  candado keys suspend 6")]
    Suspend(act::Arguments),
    /// Let go of the emergency brake. The key reads again; it never writes again.
    ///
    /// If it was the one that wrote, make a new one afterwards: `candado keys rotate`.
    #[command(after_help = "Examples:
  candado keys resume 6")]
    Resume(act::Arguments),
    /// Put keys aside that no row needs any more. Their wraps are kept: `restore` brings one back.
    ///
    /// Demands a fresh proof from `candado column verify` for every column of the keyset. Of several keys all are put aside,
    /// or none.
    #[command(after_help = "Examples:
  candado keys retire 6 --dry-run
  candado keys retire 6 8 9")]
    Retire(end::RetireArguments),
    /// Bring a retired key back for reading, to read rows of an old backup.
    #[command(after_help = "Examples:
  candado keys restore 6")]
    Restore(act::Arguments),
    /// Delete the wraps of a retired or suspended key. What is sealed under it can then never be read again.
    ///
    /// Demands fresh proofs as `retire` does, and that the key has been put aside for the time of grace.
    #[command(after_help = "Examples:
  candado keys destroy 6 --confirm 6")]
    Destroy(end::DestroyArguments),
    /// Erase a keyset, or one data subject of it: destroy the keys, whatever rows need them. This is meant to lose the data.
    ///
    /// Without `--subject` all keys of the keyset are destroyed. With it, the key of one person alone, in columns that have
    /// a `subject` in policy; no other key is ever made for that person.
    #[command(after_help = "Examples:
  candado keys shred former_customer --confirm former_customer
  candado keys shred contact --subject 4711 --dry-run
  candado keys shred contact --subject 4711 --confirm 4711")]
    Shred(end::ShredArguments),
    /// Wrap keys again: under the newest version of their key-encryption key, or under another one.
    ///
    /// No key leaves the key provider, and no row changes. Run it after the key-encryption key was rotated, or to move to
    /// another one: first `--to NEW --add`, then the new key in the configuration of every proxy, then `--drop OLD`.
    ///
    /// With `--subjects` it is the keys of single data subjects that are wrapped again, under the active subject key of their
    /// keyset (`candado keys rotate KEYSET --purpose subject` makes one). That takes an account and a principal that may open
    /// subject keys, such as the conversion engine's; the security team's may not.
    #[command(after_help = "Examples:
  candado keys rewrap
  candado keys rewrap --to arn:aws:kms:eu-west-1:111122223333:key/1234abcd --add
  candado keys rewrap --drop arn:aws:kms:eu-central-1:111122223333:key/5678efab
  candado keys rewrap contact --subjects --user candado_backfill --password-file /run/secrets/candado-backfill")]
    Rewrap(rewrap::Arguments),
    /// Carry all keys over to another key provider, or to a key-encryption key that the present one cannot rewrap to.
    ///
    /// Each key is opened by the provider of the configuration, wrapped by the other one, and opened there again, before
    /// anything is written. For a moment it is in the clear, in the memory of this process. Both providers must let the
    /// principal do it: decrypt every key here, encrypt and decrypt there; take that permission back afterwards. Takes
    /// approval where that is configured. The old wraps stay, and are tried first.
    #[command(after_help = "Examples:
  candado keys add-wrap --to vault.toml --dry-run
  candado keys add-wrap --to vault.toml --user candado_security --password-file /run/secrets/candado-security")]
    AddWrap(add_wrap::Arguments),
    /// Count the data subjects of a keyset: those whose keys live, and those that were erased.
    #[command(after_help = "Examples:
  candado keys subjects contact --json")]
    Subjects(subjects::Arguments),
    /// Give the key-encryption key new material, at its provider.
    ///
    /// What the old material wrapped goes on opening; `candado keys rewrap` brings it to the new.
    #[command(after_help = "Examples:
  candado keys rotate-kek --dry-run
  candado keys rotate-kek && candado keys rewrap")]
    RotateKek(rotate_kek::Arguments),
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Create(arguments) => create::run(arguments),
        Command::Activate(arguments) => act::activate(arguments),
        Command::Rotate(arguments) => rotate::run(arguments),
        Command::Suspend(arguments) => act::suspend(arguments),
        Command::Resume(arguments) => act::resume(arguments),
        Command::Retire(arguments) => end::retire(arguments),
        Command::Restore(arguments) => act::restore(arguments),
        Command::Destroy(arguments) => end::destroy(arguments),
        Command::Shred(arguments) => end::shred(arguments),
        Command::Rewrap(arguments) => rewrap::run(arguments),
        Command::AddWrap(arguments) => add_wrap::run(arguments),
        Command::Subjects(arguments) => subjects::run(arguments),
        Command::RotateKek(arguments) => rotate_kek::run(arguments),
    }
}

fn append(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.push('\n');
    text.push_str(&line.to_string());
}
