//! `candado firewall log`: what the file sink has written, searched.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::moment::moment;
use crate::cli::output::{self, Output};
use crate::control::counted;
use crate::events::{Class, Event};

/// Longer lines are none of ours.
const LINE_OCTETS_MAX: usize = 1 << 20;

/// Where events are searched, and for what.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Files of `[events.file]`, oldest first.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Events at that time or later, UTC: `2026-03-04`, or as far as you like in `2026-03-04T05:06:07`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<String>,
    /// Events before that time, UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// Events of accounts whose `user@host` holds this.
    #[arg(long, value_name = "TEXT")]
    account: Option<String>,
    /// Events from that client address, with port or without.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// Events that this rule had a part in.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Events of that digest.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The event whose id is this or ends with it, such as the `18:42` that the client was told.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The newest so many of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Searches and prints.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut found, mut foreign) = (VecDeque::new(), 0_usize);
    for path in &arguments.files {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {name}")).map_err(Failure::Usage)?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.with_context(|| format!("cannot read {name}"))?;
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) if line.len() <= LINE_OCTETS_MAX => {
                    if arguments.wants(&event) {
                        found.push_back(event);
                    }
                    if found.len() > arguments.limit {
                        found.pop_front();
                    }
                }
                Ok(_) | Err(_) => foreign += usize::from(!line.is_empty()),
            }
        }
    }
    if foreign > 0 {
        output::note(format_args!("{foreign} lines are no firewall events"));
    }
    let found = found.make_contiguous();
    Output::new().answer(arguments.json, &json!({ "events": found }), || text(found))?;
    Ok(())
}

impl Arguments {
    fn wants(&self, event: &Event) -> bool {
        let is_client = |client: &String| {
            event.client == *client || event.client.rsplit_once(':').is_some_and(|(address, _)| address == client)
        };
        let is_id = |id: &String| event.id == *id || event.id.strip_suffix(id).is_some_and(|rest| rest.ends_with('-'));
        self.from.as_ref().is_none_or(|from| event.at >= *from)
            && self.until.as_ref().is_none_or(|until| event.at < *until)
            && self.account.as_ref().is_none_or(|account| event.account.contains(account))
            && self.client.as_ref().is_none_or(is_client)
            && self.rule.as_ref().is_none_or(|rule| event.rules.contains(rule))
            && self.digest.as_ref().is_none_or(|digest| event.digest.as_ref() == Some(digest))
            && self.id.as_ref().is_none_or(is_id)
    }
}

fn text(events: &[Event]) -> String {
    let blocks = events.iter().map(block);
    blocks.chain([counted(events.len(), "event", "events")]).collect::<Vec<_>>().join("\n")
}

fn block(event: &Event) -> String {
    let Event { id, at, account, client, rules, score, mode, outcome, suppressed, .. } = event;
    let at = at.get(..19).unwrap_or(at).replace('T', " ");
    let database = event.database.as_deref().unwrap_or("-");
    let more =
        if *suppressed > 0 { format!(", and {suppressed} before it that were only counted") } else { String::new() };
    format!(
        "{at}  {id}  {}  {}  score {score}  mode {mode}{more}\n    {account} from {client} in {database}\n    {}\n    digest {}",
        outcome.name(),
        rules.join(" "),
        match event.class {
            Class::Firewall => event.text.clone().unwrap_or_else(|| "(cannot be read)".to_owned()),
            Class::Honey => format!("honey of {}", event.columns.join(", ")),
            Class::Budget => "an alarm of the account's budget".to_owned(),
        },
        event.digest.as_deref().unwrap_or("-")
    )
}
