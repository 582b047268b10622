//! Learned profiles (layer 4): which statements an account is known to send in a database, and how far others are from
//! them. Modes are the planner's, the store is the control plane's.

pub(crate) mod distance;
pub mod entry;
mod known;
mod shape;
mod sightings;
#[cfg(test)]
mod tests;

pub use distance::{FAR, added, distance};
pub use known::{AccountProfile, Exceptions, Growth, Loaded, Novelty, Profile, Profiles, Stamped};
pub use shape::{Part, PartKind, SHAPE_OCTETS_MAX, Shape, part_text};
pub use sightings::{Place, Sighting, Sightings};

use super::rules::RuleId;
use crate::sql::StatementClass;

/// Bytes of an outline, about, that are kept of a statement.
pub const TEXT_OCTETS: usize = 1_000;
/// Characters that there is room for: an outline may be longer by one name and three dots.
pub const TEXT_CHARS_MAX: usize = 1_100;

/// A statement that an account is not known to send.
pub const PROFILE: RuleId = RuleId("profile");
/// A statement of an account whose profile could not be read yet.
pub const PROFILE_MISSING: RuleId = RuleId("profile-missing");

/// Statements that are no profile's: nothing at all, and transactions, whose savepoints have a new name each time.
pub fn is_everybodys(class: StatementClass) -> bool {
    matches!(class, StatementClass::Empty | StatementClass::Transaction)
}
