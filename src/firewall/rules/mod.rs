//! The rules, one per file.

mod constant_union;
mod delay;
mod error_probe;
mod file_access;
mod floor_rand;
mod procedure_analyse;
mod schema_probe;
mod substring_probe;
mod versioned_comment;

use super::Reading;

/// A rule's stable name, as it stands in events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(pub &'static str);

/// The statement could not be split into tokens: an unclosed quote, a NUL byte. Decided before any rule below.
pub const PARSE: RuleId = RuleId("parse");
/// A second statement behind a semicolon. Decided before any rule below.
pub const STACKED: RuleId = RuleId("stacked");

/// A hard signature.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// One line for people.
    pub summary: &'static str,
    /// Whether the statement matches.
    pub(super) matches: fn(&Reading<'_>) -> bool,
    /// Statements that it must refuse.
    pub refuses: &'static [&'static str],
    /// Honest statements that look alike and must pass.
    pub passes: &'static [&'static str],
}

/// All rules, cheapest first.
pub const ALL: &[Rule] = &[
    versioned_comment::RULE,
    procedure_analyse::RULE,
    file_access::RULE,
    delay::RULE,
    error_probe::RULE,
    floor_rand::RULE,
    constant_union::RULE,
    schema_probe::RULE,
    substring_probe::RULE,
];
