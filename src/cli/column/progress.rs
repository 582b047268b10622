//! Progress of a job: a bar with rate and remaining time on a terminal, plain lines elsewhere. On standard error, so that
//! results on standard output stay alone.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output::note;
use crate::control::column::{Event, JobSummary, Observer};

/// How often a line is written where there is no terminal.
const LINE_PERIOD: Duration = Duration::from_secs(5);
const BAR: &str = "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}";

/// Shows what it hears.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last thing that was waited for: it is told once, not twice a second.
    waiting: String,
    last_line: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        Self { bar, state: Mutex::new(State::default()) }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    fn moved(&self, what: &'static str, done: u64, of: u64, line: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(what);
            bar.set_length(of.max(done));
            bar.set_position(done);
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        if state.last_line.is_none_or(|last| last.elapsed() >= LINE_PERIOD) {
            state.last_line = Some(Instant::now());
            note(line());
        }
    }

    /// Tells what is waited for once.
    fn waiting(&self, text: String) {
        let Ok(mut state) = self.state.lock() else { return };
        if state.waiting != text {
            self.line(&format!("waiting: {text}"));
            state.waiting = text;
        }
    }
}

impl Observer for Progress {
    fn hear(&self, event: Event) {
        match event {
            Event::Step(text) => self.line(&text),
            Event::Remark(remark) => self.line(&super::report::remark(&remark)),
            Event::Statement(text) => self.line(&format!("statement: {text};")),
            Event::Waiting(text) => self.waiting(text),
            Event::Resting(text) => self.waiting(format!("resting, {text}")),
            Event::Walk(job) => self.moved("rows", job.rows_seen, job.rows_estimate, || walked(&job)),
            Event::Verified(rows, of) => {
                self.moved("verified", rows, of, || format!("{rows} rows of about {of} verified"));
            }
        }
    }
}

fn walked(job: &JobSummary) -> String {
    let left = job.seconds_left().map_or(String::new(), |seconds| format!(", about {seconds} s left"));
    format!(
        "{} rows of about {}, {} changed, {} conflicts, {:.0} rows/s{left}",
        job.rows_seen, job.rows_estimate, job.rows_changed, job.conflicts, job.rows_per_second
    )
}
