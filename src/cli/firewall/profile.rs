//! `candado firewall status`, `learn`, `freeze` and `forget`: the growth of profiles.

use clap::Args;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::output::Output;
use super::super::table::table;
use super::acting::{Acting, Report, account, digest, shown};
use crate::app::load_policy;
use crate::control::ListedProfile;
use crate::firewall::Digest;
use crate::firewall::profile::Place;
use crate::policy::{AccountPattern, Policy};

/// Hours that the text shows.
const HOURS_SHOWN: usize = 8;

/// How profiles are shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArguments {
    #[command(flatten)]
    acting: Acting,
}

/// Which profile.
#[derive(Debug, Args)]
pub(in crate::cli) struct PlaceArguments {
    /// The account, as the server's CURRENT_USER() has it.
    #[arg(value_name = "USER@HOST", value_parser = account)]
    of: String,
    /// The database; an empty word for statements without one.
    database: String,
    #[command(flatten)]
    acting: Acting,
}

/// Which digest of which profile.
#[derive(Debug, Args)]
pub(in crate::cli) struct ForgetArguments {
    /// The digest, as `firewall export` shows it.
    #[arg(value_parser = digest)]
    digest: Digest,
    #[command(flatten)]
    place: PlaceArguments,
}

impl PlaceArguments {
    fn place(&self) -> Place {
        Place { account: self.of.as_str().into(), database: self.database.as_str().into() }
    }
}

fn facts(place: &Place) -> Value {
    json!({ "account": &*place.account, "database": &*place.database })
}

/// Shows all profiles.
pub(super) fn status(arguments: &StatusArguments) -> Result<(), Failure> {
    let settings = arguments.acting.account.settings()?;
    let policy = load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))?;
    let profiles = arguments.acting.read(&settings, async |store| store.list().await)?;
    let without = without_profile(&policy, &profiles);
    let output = Output::new();
    if arguments.acting.json {
        let profiles: Vec<Value> = profiles
            .iter()
            .map(|profile| {
                let mut facts = json!(profile);
                if let Value::Object(facts) = &mut facts {
                    facts.insert("mode".to_owned(), mode(&policy, profile).into());
                }
                facts
            })
            .collect();
        return Ok(output.json(&json!({ "profiles": profiles, "without_profile": without }))?);
    }
    Ok(output.line(text(&policy, &profiles, &without))?)
}

/// Accounts of policy whose mode compares with a profile, and that have none.
fn without_profile(policy: &Policy, profiles: &[ListedProfile]) -> Vec<String> {
    let has_one = |pattern: &AccountPattern| profiles.iter().any(|profile| pattern.matches(&profile.named()));
    policy
        .accounts()
        .filter(|(pattern, mode)| mode.has_profile() && !has_one(pattern))
        .map(|(pattern, mode)| format!("{pattern} (mode {})", mode.name()))
        .collect()
}

fn mode(policy: &Policy, profile: &ListedProfile) -> &'static str {
    policy.resolve(&profile.named()).1.name()
}

fn text(policy: &Policy, profiles: &[ListedProfile], without: &[String]) -> String {
    if profiles.is_empty() && without.is_empty() {
        return "no profiles, and no account of the policy has firewall mode `learn` or `protect`".to_owned();
    }
    let headings = ["account", "database", "mode", "profile", "digests", "seen", "new by hour, newest first"];
    let rows = profiles.iter().map(|profile| {
        let growth = match &profile.frozen_at {
            Some(since) => format!("frozen {}", since.get(..16).unwrap_or(since).replace('T', " ")),
            None => "learning".to_owned(),
        };
        let by_hour: Vec<String> = profile.new_by_hour.iter().take(HOURS_SHOWN).map(ToString::to_string).collect();
        [
            profile.account.clone(),
            profile.database.clone(),
            mode(policy, profile).to_owned(),
            growth,
            profile.digests.to_string(),
            profile.seen.to_string(),
            by_hour.join(" "),
        ]
    });
    let mut text = table(headings, rows, "no profiles");
    for account in without {
        text.push_str(&format!("\nno profile yet: {account}"));
    }
    text
}

/// Lets a profile take digests.
pub(super) fn learn(arguments: &PlaceArguments) -> Result<(), Failure> {
    let place = arguments.place();
    arguments.acting.carry_out("learn", async |acts| {
        acts.learn(&place).await?;
        let text = format!("{}: the profile takes digests while policy says `learn`", shown(&place));
        Ok(Report { text, facts: facts(&place) })
    })
}

/// Ends a profile's learning.
pub(super) fn freeze(arguments: &PlaceArguments) -> Result<(), Failure> {
    let place = arguments.place();
    arguments.acting.carry_out("freeze", async |acts| {
        let digests = acts.freeze(&place).await?;
        let text = format!("{}: frozen with {digests} digests", shown(&place));
        let mut facts = facts(&place);
        if let Value::Object(facts) = &mut facts {
            facts.insert("digests".to_owned(), digests.into());
        }
        Ok(Report { text, facts })
    })
}

/// Takes a digest out of a profile.
pub(super) fn forget(arguments: &ForgetArguments) -> Result<(), Failure> {
    let place = arguments.place.place();
    arguments.place.acting.carry_out("forget", async |acts| {
        acts.forget(&place, arguments.digest).await?;
        Ok(Report {
            text: format!("{}: digest {} is forgotten", shown(&place), arguments.digest),
            facts: facts(&place),
        })
    })
}
