//! Firewall events: what is kept of a statement that a rule matched, or whose result showed bait, and its way to log, file,
//! syslog and HTTP.
//!
//! The data plane hands a hit over and goes on. Every hit is counted; how many become events is bounded for each account,
//! client address and rule, so that a flood from one client neither fills a disk nor hides others. Each sink has a bounded
//! queue and a task of its own: one that is slow or down loses events, which are counted, and holds nobody up. No value
//! is in an event: literals and parameters are `?`, and names that the schema does not know are `<id>`.
//!
//! Deciding what is a hit belongs to [`crate::firewall`] and [`crate::plan`].

mod counters;
mod event;
mod hub;
mod ocsf;
mod sampler;
mod settings;
mod sighting;
mod sink;
mod syslog;
#[cfg(test)]
mod tests;
mod time;

pub use counters::{Counters, RuleCount, SinkCount};
pub use event::{Class, Event, Outcome};
pub use hub::{Alarm, Events, Hit};
pub use ocsf::finding;
pub use settings::{FileSettings, HttpSettings, LogSink, Settings, SettingsError, Token};
pub use sighting::Sighting;
pub use syslog::{SyslogHead, SyslogSettings, SyslogSocket, SyslogTransport};
pub use time::{parse as parse_rfc3339, rfc3339, since_epoch};
