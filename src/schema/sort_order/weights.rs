//! Weights of code points under the server's collations that are not binary, from tables that `tests/support/weights.py`
//! writes. Under these collations the weights of a value are those of its code points one after the other.

use std::sync::OnceLock;

const PAGE: usize = 256;
/// Code points of a page that follow the rule have this in place of an entry.
const BY_RULE: u32 = u32::MAX;
/// The weight of all code points that a collation of the basic plane does not know.
const REPLACEMENT: u16 = 0xfffd;

/// What the weights of a code point without an entry follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The code point itself; one weight for all above the basic plane.
    CodePoint,
    /// Implicit weights of the Unicode Collation Algorithm; one weight for all above the basic plane.
    ImplicitBasic,
    /// Implicit weights, and syllables of Hangul by their letters.
    Implicit,
}

/// The weights of one collation.
#[derive(Debug)]
pub(super) struct Weights {
    rule: Rule,
    /// For each code point where its weights begin, times 16, and how many there are.
    pages: Vec<Option<Box<[u32; PAGE]>>>,
    weights: Vec<u16>,
}

impl Weights {
    /// `utf8mb4_general_ci`.
    pub(super) fn general() -> &'static Self {
        static TABLE: OnceLock<Weights> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(include_bytes!("weights/general.bin"), Rule::CodePoint))
    }

    /// `utf8mb4_unicode_ci`: version 4.0.0 of the Unicode Collation Algorithm.
    pub(super) fn uca400() -> &'static Self {
        static TABLE: OnceLock<Weights> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(include_bytes!("weights/uca400.bin"), Rule::ImplicitBasic))
    }

    /// `utf8mb4_0900_ai_ci`: the first level of version 9.0.0.
    pub(super) fn uca900() -> &'static Self {
        static TABLE: OnceLock<Weights> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(include_bytes!("weights/uca900.bin"), Rule::Implicit))
    }

    fn read(mut table: &[u8], rule: Rule) -> Self {
        let mut read = Self { rule, pages: Vec::new(), weights: Vec::new() };
        let mut point = 0_usize;
        while let Some((distance, rest)) = take_distance(table) {
            let Some((&count, rest)) = rest.split_first() else { break };
            let Some((weights, rest)) = rest.split_at_checked(usize::from(count) * 2) else { break };
            point += distance;
            read.put(point, weights);
            table = rest;
        }
        read
    }

    fn put(&mut self, point: usize, weights: &[u8]) {
        if self.pages.len() <= point / PAGE {
            self.pages.resize_with(point / PAGE + 1, || None);
        }
        let place = u32::try_from(self.weights.len() * 16 + weights.len() / 2).unwrap_or(BY_RULE);
        let pairs = weights.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
        self.weights.extend(pairs.map(u16::from_be_bytes));
        if let Some(page) = self.pages.get_mut(point / PAGE) {
            let page = page.get_or_insert_with(|| Box::new([BY_RULE; PAGE]));
            if let Some(entry) = page.get_mut(point % PAGE) {
                *entry = place;
            }
        }
    }

    /// Gives the weights of a code point, in pieces.
    pub(super) fn weigh(&self, character: char, put: &mut impl FnMut(&[u16])) {
        let point = u32::from(character);
        match self.entry(point) {
            Some(weights) => put(weights),
            None => self.weigh_by_rule(point, put),
        }
    }

    fn entry(&self, point: u32) -> Option<&[u16]> {
        let point = usize::try_from(point).ok()?;
        let page = self.pages.get(point / PAGE)?.as_ref()?;
        let place = page.get(point % PAGE).filter(|place| **place != BY_RULE)?;
        let (start, count) = (usize::try_from(place / 16).ok()?, usize::try_from(place % 16).ok()?);
        self.weights.get(start..start + count)
    }

    fn weigh_by_rule(&self, point: u32, put: &mut impl FnMut(&[u16])) {
        match (self.rule, u16::try_from(point)) {
            (Rule::CodePoint, Ok(basic)) => put(&[basic]),
            (Rule::CodePoint | Rule::ImplicitBasic, Err(_)) => put(&[REPLACEMENT]),
            (Rule::ImplicitBasic, Ok(_)) => put(&implicit(point)),
            (Rule::Implicit, _) => match syllable(point) {
                Some(letters) => {
                    letters.into_iter().flatten().for_each(|letter| put(self.entry(letter).unwrap_or_default()));
                }
                None => put(&implicit(point)),
            },
        }
    }
}

/// A number in LEB128.
fn take_distance(mut bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        number |= usize::from(byte & 0x7f) << shift;
        bytes = rest;
        if byte & 0x80 == 0 {
            return Some((number, bytes));
        }
    }
    None
}

/// Weights of a code point that the Unicode Collation Algorithm's table does not have (its section on implicit weights).
fn implicit(point: u32) -> [u16; 2] {
    let base = match point {
        0x4e00..=0x9fd5
        | 0xfa0e..=0xfa0f
        | 0xfa11
        | 0xfa13..=0xfa14
        | 0xfa1f
        | 0xfa21
        | 0xfa23..=0xfa24
        | 0xfa27..=0xfa29 => 0xfb40,
        0x3400..=0x4db5 | 0x20000..=0x2a6d6 | 0x2a700..=0x2b734 | 0x2b740..=0x2b81d | 0x2b820..=0x2cea1 => 0xfb80,
        _ => 0xfbc0,
    };
    let low = |number: u32| u16::try_from(number & 0xffff).unwrap_or_default();
    [low(base + (point >> 15)), low(point & 0x7fff | 0x8000)]
}

/// The letters of a syllable of Hangul (section 3.12 of the Unicode standard).
fn syllable(point: u32) -> Option<[Option<u32>; 3]> {
    let at = point.checked_sub(0xac00).filter(|at| *at < 11_172)?;
    let last = (at % 28 > 0).then_some(0x11a7 + at % 28);
    Some([Some(0x1100 + at / 588), Some(0x1161 + at % 588 / 28), last])
}
