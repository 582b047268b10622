//! The orders of collations that the proxy sorts by, compared with what the servers say of code points and of pairs of
//! values. `CANDADO_WEIGHTS=all` asks about all code points and many more values.

use std::cmp::Ordering;

use candado::schema::SortOrder;

use crate::support::on_each_server;
use crate::support::server::{Kind, Server};

on_each_server!(code_points_weigh_what_the_server_says, values_compare_as_the_server_compares_them);

/// Values in one statement.
const VALUES_IN_STATEMENT: usize = 500;
/// As many columns as a result may have.
const CODE_POINTS_IN_STATEMENT: usize = 4_000;

/// What collations care about.
const POOL: [&str; 40] = [
    "a",
    "A",
    "b",
    "B",
    "z",
    "Z",
    "\u{e4}",
    "a\u{308}",
    "\u{308}",
    "\u{df}",
    "ss",
    "s",
    " ",
    " ",
    "  ",
    "\t",
    "!",
    "-",
    "1",
    "2",
    "\u{b2}",
    "\u{3b1}",
    "\u{391}",
    "\u{418}",
    "\u{439}",
    "\u{5d0}",
    "\u{e01}",
    "\u{e40}",
    "\u{ac00}",
    "\u{1100}",
    "\u{1161}",
    "\u{6f22}",
    "\u{3042}",
    "\u{30a2}",
    "\u{ff71}",
    "\u{ffff}",
    "\u{1f600}",
    "\u{1f601}",
    "\u{20000}",
    "\u{10ffff}",
];

fn collations(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::MySql => {
            &["utf8mb4_bin", "utf8mb4_0900_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci"]
        }
        Kind::MariaDb => &["utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci"],
    }
}

fn is_whole() -> bool {
    std::env::var("CANDADO_WEIGHTS").is_ok_and(|which| which == "all")
}

async fn code_points_weigh_what_the_server_says(kind: Kind) {
    let server = Server::start(kind);
    let asked = |point: &u32| is_whole() || *point < 0x3400 || point % 61 == 7;
    let characters: Vec<char> = (0..0x11_0000).filter(asked).filter_map(char::from_u32).collect();
    for collation in collations(kind).iter().filter(|collation| !collation.ends_with("_bin")) {
        let order = SortOrder::of(collation).unwrap();
        for some in characters.chunks(CODE_POINTS_IN_STATEMENT) {
            let weights = |character: &char| {
                format!("HEX(WEIGHT_STRING(_utf8mb4 X'{}' COLLATE {collation}))", hex(character.to_string().as_bytes()))
            };
            let answer = server.sql(&format!("SELECT {}", some.iter().map(weights).collect::<Vec<_>>().join(",")));
            let said: Vec<&str> = answer.trim_end_matches('\n').split('\t').collect();
            assert_eq!(said.len(), some.len());
            for (character, said) in some.iter().zip(said) {
                assert_eq!(weigh(order, &character.to_string()), said, "U+{:04X} {collation}", u32::from(*character));
            }
        }
    }
}

/// Weights in hexadecimal, as the server writes them.
fn weigh(order: SortOrder, value: &str) -> String {
    let mut weights = Vec::new();
    order.weigh(value, |more| weights.extend_from_slice(more));
    weights.iter().map(|weight| format!("{weight:04X}")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn value(&mut self) -> String {
        let mut value = String::new();
        for _ in 0..self.below(6) {
            match self.below(5) {
                0 => value.extend(char::from_u32(self.below(0x11_0000) as u32)),
                1 => value.extend(char::from_u32(self.below(0x3000) as u32)),
                _ => value.push_str(POOL[self.below(POOL.len())]),
            }
        }
        value
    }
}

async fn values_compare_as_the_server_compares_them(kind: Kind) {
    let server = Server::start(kind);
    let statements = if is_whole() { 400 } else { 8 };
    for collation in collations(kind) {
        let order = SortOrder::of(collation).unwrap();
        let mut numbers = Numbers(42);
        for _ in 0..statements {
            let pairs: Vec<(String, String)> = (0..VALUES_IN_STATEMENT)
                .map(|_| {
                    // Most pairs differ at their ends alone.
                    let start = numbers.value();
                    (start.clone() + &numbers.value(), start + &numbers.value())
                })
                .collect();
            let literal = |value: &str| format!("_utf8mb4 X'{}' COLLATE {collation}", hex(value.as_bytes()));
            let compared: Vec<String> =
                pairs.iter().map(|(left, right)| format!("STRCMP({}, {})", literal(left), literal(right))).collect();
            let answer = server.sql(&format!("SELECT {}", compared.join(", ")));
            for ((left, right), said) in pairs.iter().zip(answer.trim_end().split('\t')) {
                let weights = |value| {
                    let mut weights = Vec::new();
                    order.weigh(value, |more| weights.extend_from_slice(more));
                    weights
                };
                let ours = match order.compare(&weights(left), &weights(right)) {
                    Ordering::Less => "-1",
                    Ordering::Equal => "0",
                    Ordering::Greater => "1",
                };
                assert_eq!(ours, said, "{left:?} and {right:?} under {collation}");
            }
        }
    }
}
