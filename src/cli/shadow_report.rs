//! `candado explain --shadow`: what the report of shadow mode says, summed up by the reasons of refusals.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use crate::control::counted;
use crate::explain::{ShadowHead, ShadowLine, Verdict};

/// A report longer than this was written by somebody else.
const OCTETS_MAX: u64 = 4 << 30;

/// The summary.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    head: ShadowHead,
    /// Lines of the report.
    lines: usize,
    /// What would be refused, the most frequent first.
    refused: Vec<Reason>,
}

/// Statements that would be refused for one reason.
#[derive(Debug, Serialize)]
struct Reason {
    /// The error's code.
    code: u16,
    /// What is not possible.
    reason: String,
    /// What to do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// How often such statements were run.
    executed: u64,
    /// The statements.
    statements: Vec<ShadowLine>,
}

/// Reads a report and prints the summary. Found are statements that would be refused.
pub(super) fn run(path: &Path, json: bool) -> Result<(), Failure> {
    let summary = read(path).map_err(Failure::Usage)?;
    Output::new().answer(json, &summary, || summary.text())?;
    if summary.refused.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

fn read(path: &Path) -> anyhow::Result<Summary> {
    let octets = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?.len();
    if octets > OCTETS_MAX {
        return Err(anyhow!("{} is too long for a report of shadow mode", path.display()));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    summary(&text).with_context(|| format!("{} is no report of shadow mode", path.display()))
}

fn summary(text: &str) -> anyhow::Result<Summary> {
    let mut lines = text.lines();
    let head: ShadowHead = serde_json::from_str(lines.next().unwrap_or_default()).context("line 1")?;
    let mut reasons: BTreeMap<(u16, String), Reason> = BTreeMap::new();
    let mut count = 0;
    for (number, line) in (2..).zip(lines) {
        let line: ShadowLine = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        count += 1;
        let (Verdict::Refused, Some(error)) = (line.explained.verdict, &line.explained.error) else { continue };
        let reason = reasons.entry((error.code, error.text.clone())).or_insert_with(|| Reason {
            code: error.code,
            reason: error.reason().to_owned(),
            remedy: error.remedy.clone(),
            executed: 0,
            statements: Vec::new(),
        });
        reason.executed = reason.executed.saturating_add(line.executed);
        reason.statements.push(line);
    }
    let mut refused: Vec<Reason> = reasons.into_values().collect();
    refused.sort_by_key(|reason| std::cmp::Reverse(reason.executed));
    Ok(Summary { head, lines: count, refused })
}

impl Summary {
    fn text(&self) -> String {
        let totals = &self.head.totals;
        let mut text = format!(
            "{} relayed, {} rewritten, {} REFUSED ({} different ones)",
            counted(totals.relayed, "statement", "statements"),
            totals.rewritten,
            totals.refused,
            self.lines
        );
        if totals.not_listed > 0 {
            text.push_str(&format!(
                "\n{} not listed: the table was full",
                counted(totals.not_listed, "statement", "statements")
            ));
        }
        for reason in &self.refused {
            text.push_str(&format!("\n\n{:>8} x  {}: {}", reason.executed, reason.code, reason.reason));
            text.extend(reason.remedy.iter().map(|remedy| format!("\n            {remedy}")));
            for line in &reason.statements {
                let shown = line.explained.text.as_deref().unwrap_or("(cannot be read)");
                text.push_str(&format!("\n{:>8} x    {}: {shown}", line.executed, line.role));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"candado_shadow":"0.1.0","began_s":1,"written_s":2,"relayed":5,"rewritten":2,"refused":4,"not_listed":1}
{"digest":"aa","role":"app","database":"shop","executed":3,"prepared":0,"verdict":"refused","text":"SELECT ?","error":{"code":1235,"sqlstate":"42000","text":"X is not supported; do Y","remedy":"do Y"}}
{"role":"app","executed":1,"prepared":1,"verdict":"refused","error":{"code":1235,"sqlstate":"42000","text":"X is not supported; do Y","remedy":"do Y"}}
{"digest":"bb","role":"app","executed":2,"prepared":0,"verdict":"rewritten","text":"SELECT ?","index":["shop.c.phone"]}
"#;

    #[test]
    fn refusals_are_summed_up_by_reason() {
        let summary = summary(REPORT).unwrap();
        let expected = "5 statements relayed, 2 rewritten, 4 REFUSED (3 different ones)\n1 statement not listed: the \
                        table was full\n\n       4 x  1235: X is not supported\n            do Y\n       3 x    app: SELECT \
                        ?\n       1 x    app: (cannot be read)";
        assert_eq!(summary.text(), expected);
        assert_eq!(summary.refused.len(), 1);
    }

    #[test]
    fn another_file_is_no_report() {
        for text in ["", "{}", "SELECT 1", &REPORT.replace("\"executed\":2", "\"executed\":\"2\"")] {
            assert!(summary(text).is_err(), "{text}");
        }
    }
}
