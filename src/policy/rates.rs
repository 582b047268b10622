//! From when on errors and unknown statements are too many, and what is done then.

use serde::Deserialize;
use toml::Spanned;

use super::written::Text;

/// Thresholds for one account at one client address, and the reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Errors of the server that probing provokes, in a minute.
    pub errors_max: u32,
    /// Statements that the account's profile does not know, in a minute.
    pub novel_max: u32,
    /// What is done when there are more.
    pub reaction: Reaction,
}

/// What is done with an account at a client address that is over a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It is logged. The default: behind one address there may be a whole application.
    Log,
    /// Its commands wait, until the minute is over.
    Delay {
        /// How long each waits.
        milliseconds: u32,
    },
    /// Its statements are refused, until the minute is over.
    Refuse,
    /// Its statements are refused and its connections end, until the minute is over.
    Close,
    /// Its statements are refused for a time.
    Quarantine {
        /// How long.
        seconds: u32,
    },
}

impl Reaction {
    /// Its name in policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Delay { .. } => "delay",
            Self::Refuse => "refuse",
            Self::Close => "close",
            Self::Quarantine { .. } => "quarantine",
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self { errors_max: 60, novel_max: 60, reaction: Reaction::Log }
    }
}

/// `[rates]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRates {
    errors_per_minute: Option<Spanned<u32>>,
    novel_per_minute: Option<Spanned<u32>>,
    #[serde(default)]
    reaction: WrittenReaction,
    delay_ms: Option<Spanned<u32>>,
    quarantine_s: Option<Spanned<u32>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenReaction {
    #[default]
    Log,
    Delay,
    Refuse,
    Close,
    Quarantine,
}

/// A threshold above this one is none.
const THRESHOLD_MAX: u32 = 1_000_000;
const DELAY_MS: u32 = 1_000;
/// A client that waits longer believes that nobody is there.
const DELAY_MS_MAX: u32 = 10_000;
const QUARANTINE_S: u32 = 300;
const QUARANTINE_S_MAX: u32 = 86_400;

impl WrittenRates {
    /// What it says, with what is wrong with it noted.
    pub(super) fn checked(&self, text: &mut Text<'_>) -> Rates {
        let defaults = Rates::default();
        let delay = bounded(text, self.delay_ms.as_ref(), "delay_ms", DELAY_MS, DELAY_MS_MAX);
        let quarantine = bounded(text, self.quarantine_s.as_ref(), "quarantine_s", QUARANTINE_S, QUARANTINE_S_MAX);
        for (written, belongs_to, name) in [
            (&self.delay_ms, WrittenReaction::Delay, "delay_ms belongs to reaction \"delay\""),
            (&self.quarantine_s, WrittenReaction::Quarantine, "quarantine_s belongs to reaction \"quarantine\""),
        ] {
            if let Some(written) = written.as_ref().filter(|_| self.reaction != belongs_to) {
                text.wrong(&written.span(), name);
            }
        }
        let errors = self.errors_per_minute.as_ref();
        let novel = self.novel_per_minute.as_ref();
        Rates {
            errors_max: bounded(text, errors, "errors_per_minute", defaults.errors_max, THRESHOLD_MAX),
            novel_max: bounded(text, novel, "novel_per_minute", defaults.novel_max, THRESHOLD_MAX),
            reaction: match self.reaction {
                WrittenReaction::Log => Reaction::Log,
                WrittenReaction::Delay => Reaction::Delay { milliseconds: delay },
                WrittenReaction::Refuse => Reaction::Refuse,
                WrittenReaction::Close => Reaction::Close,
                WrittenReaction::Quarantine => Reaction::Quarantine { seconds: quarantine },
            },
        }
    }
}

fn bounded(text: &mut Text<'_>, written: Option<&Spanned<u32>>, name: &str, default: u32, most: u32) -> u32 {
    let Some(written) = written else { return default };
    if !(1..=most).contains(written.get_ref()) {
        text.wrong(&written.span(), format!("{name} is 1 to {most}"));
    }
    *written.get_ref()
}
