//! A count with its noun, in the words that operators read.

use std::fmt::Display;

/// `1 key`, `2 keys`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str, more: &str) -> String {
    let noun = if number == N::from(1) { one } else { more };
    format!("{number} {noun}")
}
