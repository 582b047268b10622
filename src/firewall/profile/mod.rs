//! Learned profiles (layer 4): which statements an account is known to send in a database, and how far others are from
//! them. Modes are the planner's, the store is the control plane's.

mod distance;
pub mod entry;
mod known;
mod names;
mod shape;
mod sightings;
#[cfg(test)]
mod tests;
mod text;

pub use distance::{FAR, distance};
pub use known::{AccountProfile, Exceptions, Growth, Loaded, Novelty, Profile, Profiles, Stamped};
pub use names::{CatalogNames, UNKNOWN};
pub use shape::{Part, PartKind, SHAPE_OCTETS_MAX, Shape};
pub use sightings::{Place, Sighting, Sightings};
pub use text::{TEXT_CHARS_MAX, text};

use super::rules::RuleId;

/// A statement that an account is not known to send.
pub const PROFILE: RuleId = RuleId("profile");
/// A statement of an account whose profile could not be read yet.
pub const PROFILE_MISSING: RuleId = RuleId("profile-missing");
