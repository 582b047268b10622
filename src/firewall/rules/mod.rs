//! The rules, one per file.

mod commented_position;
mod constant_choice;
mod constant_operand;
mod constant_union;
mod delay;
mod error_probe;
mod file_access;
mod floor_rand;
mod literal_chain;
mod open_end;
mod procedure_analyse;
mod schema_probe;
mod self_comparison;
mod spelled_text;
mod substring_probe;
mod swallowing_comment;
mod versioned_comment;

use super::Reading;

/// A rule's stable name, as it stands in events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(pub &'static str);

/// The statement could not be split into tokens: an unclosed quote, a NUL byte. Decided before any rule below.
pub const PARSE: RuleId = RuleId("parse");
/// A second statement behind a semicolon. Decided before any rule below.
pub const STACKED: RuleId = RuleId("stacked");

/// What a match says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The statement is refused.
    Hard,
    /// So many points; the statement is refused from [`POINTS_MAX`] on.
    Points(u8),
}

/// Points from which on a statement is refused.
pub const POINTS_MAX: u32 = 10;

/// A signature.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// One line for people.
    pub summary: &'static str,
    /// What a match says.
    pub weight: Weight,
    /// Whether the statement matches.
    pub(super) matches: fn(&Reading<'_>) -> bool,
    /// Statements that it must refuse.
    pub refuses: &'static [&'static str],
    /// Honest statements that look alike and must pass.
    pub passes: &'static [&'static str],
}

/// All rules: hard signatures, cheapest first, then those that give points.
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
    constant_operand::RULE,
    self_comparison::RULE,
    literal_chain::RULE,
    constant_choice::RULE,
    swallowing_comment::RULE,
    commented_position::RULE,
    spelled_text::RULE,
    open_end::RULE,
];
