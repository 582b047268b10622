//! How far an unknown statement is from the nearest known one of its kind (layer 4 of the design).
//!
//! Only what the unknown one has *more* counts: an injection adds to the statement that the application wrote, and an
//! application that leaves a filter out does no harm. Distances are in the points of the signatures: from
//! [`POINTS_MAX`] on a statement is refused.

use super::shape::{Part, PartKind, Shape};
use crate::firewall::rules::POINTS_MAX;

/// The distance of a statement of which no known one has the kind, or that can be compared with none.
pub const FAR: u32 = POINTS_MAX;

/// What one more of a part weighs, or its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Each that the known statement does not have.
    Each(u32),
    /// Once, if the known statement has none.
    First(u32),
}

/// Weights, chosen by what they do to captured traffic (CONTRIBUTING.md has the table and the commands).
///
/// Whole points go to what an injection needs to reach other data or to ask yes-or-no questions, and what an application
/// hardly ever adds to a statement by itself: functions, branches, nested queries, OR, computing, a comparison of two
/// columns, variables, comments, a further row, a further assigned column. A table is what honest statements have new most
/// often, and an injection behind FROM cannot add one without a branch or a nested query: it is refused with anything else
/// that is new beside it. Filters that an application puts together (AND), its choice of columns, sort order, limits and
/// predicates weigh less: one or two of them are new in honest statements whenever a form is filled in another way. Two
/// more operands of AND are what blind questions look like.
pub(crate) fn weight(kind: PartKind) -> Weight {
    match kind {
        PartKind::Table => Weight::Each(7),
        PartKind::Branch | PartKind::Subquery | PartKind::Or | PartKind::ColumnCompared | PartKind::Arithmetic => {
            Weight::Each(POINTS_MAX)
        }
        PartKind::Function | PartKind::Variable | PartKind::Comment | PartKind::Rows | PartKind::Assigned => {
            Weight::First(POINTS_MAX)
        }
        PartKind::And => Weight::Each(5),
        PartKind::Bytes => Weight::First(4),
        PartKind::Column | PartKind::Predicate | PartKind::Clause => Weight::First(3),
    }
}

fn points(weight: Weight, part: &Part, count: u32, known: &Shape) -> u32 {
    let before = known.count(part);
    match weight {
        Weight::Each(points) => points.saturating_mul(count.saturating_sub(before)),
        Weight::First(points) if before == 0 => points,
        Weight::First(_) => 0,
    }
}

/// What `unknown` has more than `known`, with the points of each.
pub fn added<'s>(unknown: &'s Shape, known: &Shape) -> impl Iterator<Item = (&'s Part, u32)> {
    added_by(weight, unknown, known)
}

fn added_by<'s>(
    weight: impl Fn(PartKind) -> Weight,
    unknown: &'s Shape,
    known: &Shape,
) -> impl Iterator<Item = (&'s Part, u32)> {
    let weighed = move |(part, count): (&'s Part, u32)| (part, points(weight(part.0), part, count, known));
    unknown.parts().map(weighed).filter(|(_, points)| *points > 0)
}

/// What `unknown` has more than `known`, in points; [`FAR`] if they are of different kinds.
pub fn distance(unknown: &Shape, known: &Shape) -> u32 {
    distance_by(weight, unknown, known)
}

/// The same with other weights, to measure what they would do.
pub(crate) fn distance_by(weight: impl Fn(PartKind) -> Weight, unknown: &Shape, known: &Shape) -> u32 {
    if unknown.head() != known.head() {
        return FAR;
    }
    let mut points = 0_u32;
    for (_, more) in added_by(weight, unknown, known) {
        points = points.saturating_add(more);
        if points >= FAR {
            return FAR;
        }
    }
    points
}
