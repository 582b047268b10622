//! A profile made from statements off line, for `candado firewall test --learn`.
//!
//! Learned and judged through the data plane's own door. What is different is where names come from: there is no server
//! to ask, so a name that is in the statements that were learned is one of the schema, and any other is not.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use anyhow::anyhow;
use serde::Serialize;

use super::super::Failure;
use super::super::script::Piece;
use super::offline::Door;
use crate::firewall::profile::{
    AccountProfile, Growth, Part, Place, Profile, Profiles, Shape, added, is_everybodys, part_text,
};
use crate::firewall::{CatalogNames, Digest, Reading};
use crate::policy::{Account, FirewallMode};
use crate::schema::{Catalog, Column, Table, TableKind, TableRef};
use crate::sql::{self, Dialect, ReservedWords, TokenKind};

/// What was learned.
#[derive(Debug)]
pub(super) struct Learned {
    dialect: Dialect,
    /// The names of the statements.
    pub(super) catalog: Catalog,
    /// Frozen.
    pub(super) profile: AccountProfile,
}

/// How far a statement is from the nearest known one.
#[derive(Debug, Serialize)]
pub(super) struct Distance {
    /// What it has more; `None` if there is nothing to compare it with: no known statement is of its kind, or it has no
    /// tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<u32>,
    /// Each part that counts.
    new: Vec<New>,
}

#[derive(Debug, Serialize)]
struct New {
    part: String,
    points: u32,
}

impl Learned {
    /// Learns statements. What a hard signature refuses is not learned, as in the data plane.
    pub(super) fn of(pieces: &[Piece<'_>], dialect: Dialect) -> Result<Self, Failure> {
        let catalog = catalog(pieces, dialect);
        let account = Account { user: "any".into(), host: "%".into() };
        let profiles = Profiles::default().next(HashMap::new(), HashMap::new());
        let learning = profiles.of(&account, None);
        let mut door = Door::new(dialect, &catalog, FirewallMode::Learn, Some(&learning));
        for piece in pieces {
            if let Ok(admitted) = door.inspect(piece) {
                admitted.note_sent();
            }
        }
        if profiles.sightings().passed_over() > 0 {
            return Err(Failure::Usage(anyhow!("there are more digests to learn than a profile has room for")));
        }
        let seen = profiles.sightings().pending();
        let known = seen.iter().map(|sighting| (sighting.digest, sighting.shape.clone()));
        let profile = Profile::new(Growth::Frozen, known);
        if profile.is_empty() {
            return Err(Failure::Usage(anyhow!("there is no statement to learn")));
        }
        let place = Place { account: learning.place.account.clone(), database: learning.place.database.clone() };
        let frozen = profiles.next(HashMap::from([(place, Arc::new(profile))]), HashMap::new());
        let profile = frozen.of(&account, None);
        Ok(Self { dialect, catalog, profile })
    }

    /// How many digests it has.
    pub(super) fn len(&self) -> usize {
        self.profile.profile.as_ref().map_or(0, |profile| profile.content.len())
    }

    /// Whether a statement is in it, or no profile's matter.
    pub(super) fn knows(&self, sql: &[u8], digest: Option<Digest>) -> bool {
        let mut tokens = Vec::new();
        let is_known = |digest| self.profile.profile.as_ref().is_some_and(|profile| profile.content.has(digest));
        digest.is_some_and(is_known)
            || sql::lex(sql, &self.dialect, &mut tokens).is_ok() && is_everybodys(sql::statement_class(sql, &tokens))
    }

    /// What a statement has more than the nearest known one.
    pub(super) fn distance(&self, sql: &[u8]) -> Distance {
        let shape = shape(sql, self.dialect, &self.catalog);
        let profile = self.profile.profile.as_ref();
        let nearest = shape.as_ref().and_then(|shape| Some((shape, profile?.content.nearest(shape)?)));
        let Some((shape, nearest)) = nearest else { return Distance { points: None, new: Vec::new() } };
        let new = |(part, points): (&Part, u32)| New { part: part_text(part), points };
        let new: Vec<New> = added(shape, nearest).map(new).collect();
        Distance { points: Some(new.iter().fold(0, |sum, new| sum.saturating_add(new.points))), new }
    }
}

/// The shape of a statement, if it has one.
fn shape(sql: &[u8], dialect: Dialect, catalog: &Catalog) -> Option<Shape> {
    let mut tokens = Vec::new();
    sql::lex(sql, &dialect, &mut tokens).ok()?;
    let statement = sql::parse(sql, &tokens, &dialect, &ReservedWords::of_catalog(catalog)).ok()?;
    let reading = Reading::new(sql, &tokens, sql::statement_class(sql, &tokens), Some(&statement));
    Shape::of(&reading, &CatalogNames::collect(catalog))
}

/// A catalog that knows the names of the statements and nothing else of them.
fn catalog(pieces: &[Piece<'_>], dialect: Dialect) -> Catalog {
    let mut names = HashSet::new();
    let mut tokens = Vec::new();
    for piece in pieces {
        tokens.clear();
        if sql::lex(piece.sql, &dialect, &mut tokens).is_err() {
            continue;
        }
        let is_name = |kind| matches!(kind, TokenKind::Word | TokenKind::Identifier | TokenKind::QuotedIdentifier);
        let named = tokens.iter().filter(|token| is_name(token.kind));
        names.extend(named.map(|token| sql::name(piece.sql, *token).to_lowercase()));
    }
    let column = |name: String| Column {
        name: name.into(),
        data_type: "".into(),
        column_type: "".into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let table = Table {
        name: TableRef::new("", ""),
        kind: TableKind::Base,
        columns: names.into_iter().map(column).collect(),
        definition: Some("".into()),
    };
    Catalog::new(0, dialect.server, 0, HashSet::new(), vec![table], Vec::new())
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(points) = self.points else { return f.write_str("new: a statement of another kind than all known") };
        let new: Vec<String> = self.new.iter().map(|New { part, points }| format!("{part} {points}")).collect();
        write!(f, "new, {points} points: {}", new.join(", "))
    }
}
