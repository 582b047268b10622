//! `candado firewall allow`, `disallow` and `exceptions`: what is allowed although the firewall refuses it.

use clap::Args;
use serde_json::json;

use super::super::Failure;
use super::super::output::Output;
use super::super::table::table;
use super::acting::{Acting, Report, account, digest};
use crate::control::{Exception, ListedException};
use crate::firewall::Digest;

/// The longest reason and the longest name.
const CHARS_MAX: usize = 512;

/// What is allowed to whom, and why.
#[derive(Debug, Args)]
pub(in crate::cli) struct AllowArguments {
    /// The digest, as the log's event or `firewall test` shows it.
    #[arg(value_parser = digest)]
    digest: Digest,
    /// The account that it is allowed, as the server's CURRENT_USER() has it.
    #[arg(long = "account", value_name = "USER@HOST", value_parser = account)]
    of: String,
    /// Why it is honest.
    #[arg(long, value_parser = words)]
    reason: String,
    /// Who answers for it.
    #[arg(long, value_parser = words)]
    author: String,
    /// The day or moment (UTC) when it ends, or `never`.
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Expiry,
    #[command(flatten)]
    acting: Acting,
}

/// Which exception ends.
#[derive(Debug, Args)]
pub(in crate::cli) struct DisallowArguments {
    /// The digest.
    #[arg(value_parser = digest)]
    digest: Digest,
    /// The account.
    #[arg(long = "account", value_name = "USER@HOST", value_parser = account)]
    of: String,
    #[command(flatten)]
    acting: Acting,
}

/// How exceptions are listed.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArguments {
    #[command(flatten)]
    acting: Acting,
}

/// When an exception ends.
#[derive(Clone, Debug)]
enum Expiry {
    Never,
    At(String),
}

fn words(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("1 to {CHARS_MAX} characters on one line")) }
}

/// A day or moment, in the form that the server reads.
fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let is = |form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
    };
    if is("0000-00-00") {
        Ok(Expiry::At(format!("{text} 00:00:00")))
    } else if is("0000-00-00T00:00:00") || is("0000-00-00T00:00:00Z") {
        Ok(Expiry::At(text.trim_end_matches('Z').replace('T', " ")))
    } else {
        Err("a time is written 2027-03-04 or 2027-03-04T05:06:07, or `never`".to_owned())
    }
}

/// Allows a digest.
pub(super) fn allow(arguments: &AllowArguments) -> Result<(), Failure> {
    let exception = Exception {
        account: arguments.of.clone(),
        digest: arguments.digest,
        reason: arguments.reason.clone(),
        author: arguments.author.clone(),
        expires_at: match &arguments.expires {
            Expiry::Never => None,
            Expiry::At(time) => Some(time.clone()),
        },
    };
    arguments.acting.carry_out("allow", async |acts| {
        acts.allow(&exception).await?;
        let Exception { account, digest, expires_at, .. } = &exception;
        let until = expires_at.as_deref().map_or_else(String::new, |time| format!(" until {time} UTC"));
        let text = format!("{account} is allowed digest {digest}{until}; proxies know within two seconds");
        Ok(Report { text, facts: json!({ "account": account, "digest": digest.to_string(), "expires": expires_at }) })
    })
}

/// Takes an exception back.
pub(super) fn disallow(arguments: &DisallowArguments) -> Result<(), Failure> {
    arguments.acting.carry_out("disallow", async |acts| {
        let DisallowArguments { of, digest, .. } = arguments;
        acts.disallow(of, *digest).await?;
        let text = format!("{of} is no longer allowed digest {digest}");
        Ok(Report { text, facts: json!({ "account": of, "digest": digest.to_string() }) })
    })
}

/// Lists exceptions.
pub(super) fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let settings = arguments.acting.account.settings()?;
    let exceptions = arguments.acting.read(&settings, async |store| store.exceptions().await)?;
    let output = Output::new();
    Ok(output.answer(arguments.acting.json, &json!({ "exceptions": exceptions }), || text(&exceptions))?)
}

fn text(exceptions: &[ListedException]) -> String {
    let rows = exceptions.iter().map(|exception| {
        let until = match (&exception.expires_at, exception.expired) {
            (None, _) => "for good".to_owned(),
            (Some(time), false) => time.clone(),
            (Some(time), true) => format!("{time} (over)"),
        };
        [
            exception.account.clone(),
            exception.digest.clone(),
            exception.reason.clone(),
            exception.author.clone(),
            exception.allowed_at.clone(),
            until,
        ]
    });
    table(["account", "digest", "reason", "author", "since (UTC)", "until (UTC)"], rows, "no exceptions")
}
