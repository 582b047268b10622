//! `candado audit search` and `candado audit report`: the record of accesses, read and not verified.

mod hits;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use self::hits::{Ends, Hits};
use crate::audit::{Accessed, Filter, Report, search};
use crate::cli::Failure;
use crate::cli::moment::moment;
use crate::cli::output::Output;
use crate::cli::table::table;
use crate::control::counted;

/// What is wanted of which files.
#[derive(Debug, Args)]
struct Wanted {
    /// Files of `[audit.file]`, oldest first.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Accesses of that account, `user@host` as the server names it, or of the user from any host.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Accesses to that column, `database.table.column`.
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// Accesses at that time or later, UTC: `2026-03-04`, or as far as you like in `2026-03-04T05:06:07`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<String>,
    /// Accesses before that time, UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// Accesses by statements whose digest begins with this.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Accesses from that client address, with port or without.
    #[arg(long, value_name = "ADDRESS", value_parser = client)]
    client: Option<String>,
    /// Accesses in a trace whose `traceparent` holds this.
    #[arg(long, value_name = "TRACE", value_parser = trace)]
    trace: Option<String>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// `candado audit search`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SearchArguments {
    #[command(flatten)]
    wanted: Wanted,
    /// The newest so many of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

/// `candado audit report`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArguments {
    #[command(flatten)]
    wanted: Wanted,
}

fn client(text: &str) -> Result<String, String> {
    let is_address = text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    is_address.then(|| text.to_owned()).ok_or_else(|| {
        "a client is an address, 192.0.2.7 or 2001:db8::7, or with its port [2001:db8::7]:4711".to_owned()
    })
}

fn trace(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && !text.contains(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| "a trace has at least one sign, and none that controls".to_owned())
}

pub(super) fn find(arguments: &SearchArguments) -> Result<(), Failure> {
    let (count, shown) = found(arguments)?;
    Output::new().answer(arguments.wanted.json, &json!({ "found": count, "accesses": shown }), || {
        let lines = shown.iter().map(line).collect::<Vec<_>>().join("\n");
        format!("{lines}\n{count} found; not verified: `candado audit verify FILE..` does that")
    })?;
    Ok(())
}

/// How many accesses are wanted, and the newest of them.
fn found(arguments: &SearchArguments) -> Result<(u64, Vec<Value>), Failure> {
    let (wanted, limit) = (&arguments.wanted, arguments.limit);
    let mut hits = wanted.each_file(&wanted.filter(), |hits: &mut Hits, access| hits.keep(access, limit))?;
    let open = Hits::open(&hits);
    if !open.is_empty() {
        // An end names the columns that something was shown of.
        let filter = Filter { column: None, ..wanted.filter() };
        let mut ends = Ends::default();
        for part in wanted.each_file(&filter, |ends: &mut Ends, access| ends.note(access, &open))? {
            ends.add(part);
        }
        hits.iter_mut().for_each(|hits| hits.close(&ends));
    }
    let count = hits.iter().fold(0_u64, |sum, hits| sum.saturating_add(hits.count));
    Ok((count, Hits::newest(hits, limit)))
}

pub(super) fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let mut report = Report::default();
    let filter = arguments.wanted.filter();
    for part in arguments.wanted.each_file(&filter, |report: &mut Report, access| report.add(access))? {
        report.merge(part);
    }
    let wanted = |column: &str| arguments.wanted.column.as_deref().is_none_or(|wanted| wanted == column);
    let totals: Vec<_> = report.totals().filter(|([_, _, _, column], _)| wanted(column)).collect();
    let facts = totals.iter().map(|([day, account, role, column], total)| {
        json!({
            "day": day, "account": account, "role": role, "column": column, "statements": total.statements,
            "rows": total.rows, "opened": total.opened, "masked": total.masked, "searched": total.searched,
        })
    });
    let facts = json!({ "days": facts.collect::<Vec<_>>() });
    Output::new().answer(arguments.wanted.json, &facts, || {
        let headings = ["day (UTC)", "account", "role", "column", "statements", "rows", "opened", "masked", "searched"];
        let rows = totals.iter().map(|([day, account, role, column], total)| {
            let [day, account, role, column] = [day, account, role, column].map(|name| name.to_string());
            let numbers = [total.statements, total.rows, total.opened, total.masked, total.searched];
            let [statements, rows, opened, masked, searched] = numbers.map(|number| number.to_string());
            [day, account, role, column, statements, rows, opened, masked, searched]
        });
        let table = table(headings, rows, "no such access");
        format!("{table}\nnot verified: `candado audit verify FILE..` does that")
    })?;
    Ok(())
}

impl Wanted {
    fn filter(&self) -> Filter {
        Filter {
            account: self.account.clone(),
            column: self.column.clone(),
            digest: self.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
            client: self.client.clone(),
            trace: self.trace.clone(),
            from: self.from.clone(),
            until: self.until.clone(),
        }
    }

    /// Searches each file, as many at once as there are processors. What was found is in the order of the files.
    fn each_file<T: Default + Send>(
        &self,
        filter: &Filter,
        each: impl Fn(&mut T, &Accessed<'_>) + Sync,
    ) -> Result<Vec<T>, Failure> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done: Vec<(usize, io::Result<T>)> = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = self.files.get(number) else { return done };
                let mut found = T::default();
                let read = search(path, filter, |access| each(&mut found, access));
                done.push((number, read.map(|()| found)));
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(self.files.len());
        let done = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().ok()).collect::<Option<Vec<_>>>()
        });
        let done = done.ok_or_else(|| anyhow!("a search ended early"))?;
        let mut done: Vec<_> = done.into_iter().flatten().collect();
        done.sort_by_key(|(number, _)| *number);
        let name = |number: usize| self.files.get(number).map(|path| path.display().to_string()).unwrap_or_default();
        let read = done.into_iter().map(|(number, found)| {
            found.map_err(|error| Failure::Usage(anyhow!("cannot read {}: {error}", name(number))))
        });
        read.collect()
    }
}

fn document(access: &Accessed<'_>) -> Value {
    let said = |field: &str| (field != "-").then(|| Accessed::text(field));
    let columns: serde_json::Map<String, Value> = access
        .shares()
        .map(|(column, share)| {
            let mut counts = json!({ "opened": share.opened, "masked": share.masked });
            if let Some(counts) = counts.as_object_mut() {
                for (name, count) in [("honey", share.bait), ("searched", share.searched)] {
                    if count > 0 {
                        counts.insert(name.to_owned(), json!(count));
                    }
                }
            }
            (Accessed::text(column), counts)
        })
        .collect();
    json!({
        "seq": access.seq, "at": access.at, "account": Accessed::text(access.account), "client": access.client,
        "role": Accessed::text(access.role), "application": said(access.application),
        "traceparent": said(access.traceparent), "digest": access.digest, "ref": access.reference,
        "outcome": access.outcome, "rows": access.rows, "opened": access.opened, "masked": access.masked,
        "columns": columns,
    })
}

/// One access on one line.
fn line(access: &Value) -> String {
    let text = |name: &str| access.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |name: &str| access.get(name).and_then(Value::as_u64).unwrap_or_default();
    let columns = access.get("columns").and_then(Value::as_object).map(|columns| {
        let named = columns.iter().map(|(column, counts)| {
            let honey = if counts.get("honey").is_some() { " (honey)" } else { "" };
            match counts.get("searched") {
                Some(searched) => format!("{column}{honey} (searched for {searched})"),
                None => format!("{column}{honey}"),
            }
        });
        named.collect::<Vec<_>>().join(", ")
    });
    format!(
        "{}  {} ({}) from {}, {}: {}, {} opened, {} masked of {}; {}; digest {} (ref {})",
        text("at"),
        text("account"),
        text("role"),
        text("client"),
        text("application"),
        counted(number("rows"), "row", "rows"),
        number("opened"),
        number("masked"),
        columns.unwrap_or_default(),
        text("outcome"),
        text("digest").get(..16).unwrap_or_default(),
        text("ref"),
    )
}

#[cfg(test)]
mod tests;
