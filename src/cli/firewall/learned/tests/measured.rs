//! What weights of the distance do to captured traffic. Not part of CI: `tests/support/capture.sh` makes the traffic.
//!
//! `CANDADO_CAPTURED=FOLDER cargo test --lib measured -- --ignored --nocapture` prints, for honest traffic, how many
//! digests that half of it has not learned the other half would be refused, and for attacks, how many would pass.
//! `CANDADO_WEIGHTS="and=each:3 column=first:2; table=first:4"` adds settings, with a semicolon between them, each said as
//! what differs from the product's.

mod quiet;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::*;
use crate::cli::script::general_log;
use crate::firewall::profile::PartKind;
use crate::firewall::profile::distance::{Weight, distance_by, weight};
use crate::firewall::rules::POINTS_MAX;

const HONEST: [&str; 8] = ["dump", "mycli", "sysbench", "peewee", "django", "sqlalchemy", "tpcc", "shop"];
const HOSTILE: [&str; 2] = ["attacks", "sqlmap"];
const SETTINGS: [&str; 10] = [
    "",
    "table=each:10 and=each:4",
    "table=each:10",
    "and=each:4",
    "and=each:7",
    "and=each:2 column=first:2 predicate=first:2 clause=first:2",
    "column=first:5 predicate=first:5 clause=first:5",
    "column-compared=each:4",
    "arithmetic=each:6",
    "function=first:7",
];

/// Weights that differ from the product's.
struct Setting {
    text: String,
    other: HashMap<PartKind, Weight>,
}

impl Setting {
    fn read(text: &str) -> Self {
        let mut other = HashMap::new();
        for word in text.split_whitespace() {
            let (name, weight) = word.split_once('=').unwrap();
            let (how, points) = weight.split_once(':').unwrap();
            let points = points.parse().unwrap();
            let kind = Shape::parse(&format!("SELECT {name}")).unwrap().parts().next().unwrap().0.0;
            other.insert(kind, if how == "each" { Weight::Each(points) } else { Weight::First(points) });
        }
        Self { text: if text.is_empty() { "the product's".to_owned() } else { text.trim().to_owned() }, other }
    }

    fn is_far(&self, unknown: &Shape, known: &Known) -> bool {
        let weights = |kind| self.other.get(&kind).copied().unwrap_or_else(|| weight(kind));
        let far = |known| distance_by(weights, unknown, known) >= POINTS_MAX;
        known.shapes.get(unknown.head()).is_none_or(|shapes| shapes.iter().all(far))
    }
}

/// What was learned.
struct Known {
    learned: Learned,
    shapes: HashMap<String, HashSet<Shape>>,
}

impl Known {
    /// `names` are statements whose names the server knows from the beginning.
    fn of(pieces: &[Piece<'_>], names: &[Piece<'_>]) -> Self {
        let mut learned = Learned::of(pieces, DIALECT).unwrap();
        learned.catalog = catalog(names, DIALECT);
        let mut shapes: HashMap<String, HashSet<Shape>> = HashMap::new();
        for piece in pieces.iter().filter(|piece| knows(&learned, piece)) {
            if let Some(shape) = shape(piece.sql, DIALECT, &learned.catalog) {
                shapes.entry(shape.head().to_owned()).or_default().insert(shape);
            }
        }
        Self { learned, shapes }
    }
}

fn digest(piece: &Piece<'_>) -> Option<Digest> {
    crate::firewall::digest(piece.sql, &DIALECT).as_deref().and_then(Digest::parse)
}

fn knows(learned: &Learned, piece: &Piece<'_>) -> bool {
    learned.knows(piece.sql, digest(piece))
}

/// Digests that are not known, by what is said of them.
struct Unknown<'a> {
    what: String,
    learned: usize,
    /// Of those that a signature refuses, the shapes; none for what has no tree.
    signed: Vec<Option<Shape>>,
    /// The same of all others.
    shapes: Vec<(Option<Shape>, &'a [u8])>,
}

impl<'a> Unknown<'a> {
    fn of(what: String, pieces: &[Piece<'a>], known: &Known) -> Self {
        let mut door = Door::new(DIALECT, &known.learned.catalog, FirewallMode::Block, None);
        let mut met = HashSet::new();
        let mut found = Self { what, learned: known.learned.len(), signed: Vec::new(), shapes: Vec::new() };
        for piece in pieces {
            if knows(&known.learned, piece) || !met.insert(digest(piece)) {
                continue;
            }
            let shape = shape(piece.sql, DIALECT, &known.learned.catalog);
            match door.inspect(piece) {
                Ok(_) => found.shapes.push((shape, piece.sql)),
                Err(_) => found.signed.push(shape),
            }
        }
        found
    }

    /// How many with a tree are far; signatures aside, and with those that they refuse.
    fn far(&self, setting: &Setting, known: &Known) -> (usize, usize) {
        let far = |shape: &&Shape| setting.is_far(shape, known);
        let others = self.shapes.iter().filter_map(|(shape, _)| shape.as_ref()).filter(far).count();
        (others, others + self.signed.iter().flatten().filter(far).count())
    }

    fn print(&self, settings: &[Setting], known: &Known) {
        let Self { what, learned, signed, shapes } = self;
        let with_tree = shapes.iter().filter(|(shape, _)| shape.is_some()).count();
        println!(
            "{what:24}{learned:6} known {:6} unknown: {} refused by signature; of the others {} without a tree, {with_tree} \
             with one, of which far:",
            signed.len() + shapes.len(),
            signed.len(),
            shapes.len() - with_tree
        );
        let all_with_tree = with_tree + signed.iter().flatten().count();
        for setting in settings {
            let (far, alone) = self.far(setting, known);
            println!("    {far:6}    without signatures {alone} of {all_with_tree}    {}", setting.text);
        }
    }

    /// Those that pass under the product's weights.
    fn passing(&self, known: &Known) {
        let product = Setting::read("");
        let passes = |shape: &Option<Shape>| shape.as_ref().is_some_and(|shape| !product.is_far(shape, known));
        for (_, sql) in self.shapes.iter().filter(|(shape, _)| passes(shape)) {
            println!("    passes  {}", sql.escape_ascii());
        }
    }
}

fn copied<'a>(pieces: impl Iterator<Item = &'a Piece<'a>>) -> Vec<Piece<'a>> {
    pieces.map(|piece| Piece { line: piece.line, sql: piece.sql, database: piece.database.clone() }).collect()
}

/// What is learned and what is judged: the first half and the second, then every second statement and the others.
fn halves<'a>(all: &'a [Piece<'a>]) -> [(&'static str, Vec<Piece<'a>>, Vec<Piece<'a>>); 2] {
    let (first, second) = all.split_at(all.len() / 2);
    let (even, odd): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let pieces = |numbered: Vec<(usize, &'a Piece<'a>)>| copied(numbered.into_iter().map(|(_, piece)| piece));
    [("time", copied(first.iter()), copied(second.iter())), ("every 2nd", pieces(even), pieces(odd))]
}

#[test]
#[ignore = "needs captured traffic"]
fn weights_on_captured_traffic() {
    let folder = std::env::var("CANDADO_CAPTURED").expect("CANDADO_CAPTURED names a folder of capture.sh");
    let more = std::env::var("CANDADO_WEIGHTS").unwrap_or_default();
    let more = more.split(';').filter(|text| !text.trim().is_empty());
    let settings: Vec<Setting> = SETTINGS.into_iter().chain(more).map(Setting::read).collect();
    let read = |part: &str| std::fs::read(Path::new(&folder).join(format!("{part}.log"))).ok();
    for (part, log) in HONEST.into_iter().filter_map(|part| Some((part, read(part)?))) {
        let traffic = general_log::statements(&log, None);
        for (how, first, second) in halves(&traffic) {
            let known = Known::of(&first, &traffic);
            Unknown::of(format!("{part}, {how}"), &second, &known).print(&settings, &known);
        }
    }
    let shop = read("shop").expect("the shop's own tests were captured");
    let shop = general_log::statements(&shop, None);
    let mut rich = copied(shop.iter());
    rich.extend(pieces(&quiet::RICH));
    let (plain, rich) = (Known::of(&shop, &shop), Known::of(&rich, &rich));
    let logs: Vec<_> = HOSTILE.into_iter().filter_map(|part| Some((part, read(part)?))).collect();
    let mut hostile: Vec<_> = logs.iter().map(|(part, log)| (*part, general_log::statements(log, None))).collect();
    let quiet = quiet::statements();
    hostile.push(("quiet", pieces(&quiet.iter().map(String::as_str).collect::<Vec<_>>())));
    for (part, attacks) in &hostile {
        for (known, how) in [(&plain, ""), (&rich, ", rich")] {
            let found = Unknown::of(format!("{part}{how}"), attacks, known);
            found.print(&settings, known);
            found.passing(known);
        }
    }
}
