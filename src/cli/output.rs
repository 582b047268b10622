//! The one place that writes to standard output and standard error.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;

/// Writes results, as text or as one JSON document.
#[derive(Debug)]
pub(super) struct Output {
    stream: std::io::Stdout,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { stream: std::io::stdout() }
    }

    /// One line of text; may hold further lines.
    pub(super) fn line(&self, text: impl std::fmt::Display) -> anyhow::Result<()> {
        writeln!(self.stream.lock(), "{text}").context("cannot write to standard output")
    }

    /// The facts as JSON, if that is wanted, or else as text.
    pub(super) fn answer(
        &self,
        json: bool,
        facts: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if json { self.json(facts) } else { self.line(text()) }
    }

    /// One JSON document.
    pub(super) fn json(&self, facts: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(facts).context("cannot write JSON")?;
        self.line(text)
    }
}

/// An error with its causes, on standard error.
pub(super) fn complain(error: &anyhow::Error) {
    note(format_args!("error: {error:#}"));
}

/// A message on standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    // A message that cannot be written has no other place to go.
    drop(writeln!(std::io::stderr().lock(), "candado: {text}"));
}
