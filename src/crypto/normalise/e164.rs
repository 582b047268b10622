//! `e164.1`: telephone numbers in E.164, so that every notation of a number finds it.
//!
//! The metadata of the `phonenumber` crate decides what a valid number is. Its version is pinned; a new one may give
//! other results and is then a new normaliser. The crate keeps copies of the number in freed memory, which this module
//! cannot wipe.

use phonenumber::PhoneNumber;
use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use unicode_normalization::UnicodeNormalization;

use crate::crypto::Plaintext;

/// Begins the normal form of what is no valid number. No E.164 number begins like it.
const RAW_CLASS: &[u8] = b"raw:";

/// No number is written longer; the parser's expressions are not run on anything else.
const INPUT_OCTETS_MAX: usize = 250;

/// Appends the number in E.164, with `;ext=` if it has an extension. Whatever is no valid number is indexed by its
/// digits in a class of its own, because an INSERT must not fail for it; a value without any digit by its characters,
/// because unlike values would otherwise all be equal.
pub(super) fn normalise(value: &str, region: &str, out: &mut Plaintext) {
    let unified = unified(value);
    // Made of characters only, so this cannot fail; the fallback is the value itself.
    let unified = std::str::from_utf8(unified.expose()).unwrap_or(value).trim();

    match valid_number(unified, region) {
        Some(number) => {
            push_international(&number, out);
            if let Some(extension) = number.extension() {
                out.extend(b";ext=");
                out.extend(extension.to_string().as_bytes());
            }
        }
        None => {
            out.extend(RAW_CLASS);
            if unified.bytes().any(|byte| byte.is_ascii_digit()) {
                unified.bytes().filter(u8::is_ascii_digit).for_each(|digit| out.push(digit));
            } else {
                out.extend(unified.as_bytes());
            }
        }
    }
}

/// Appends a valid number in E.164, without its extension. Tells how many octets `+` and the country's code take; `None`:
/// it is no valid number, and nothing is appended.
pub(super) fn telephone(value: &str, region: &str, out: &mut Plaintext) -> Option<usize> {
    let unified = unified(value);
    let number = valid_number(std::str::from_utf8(unified.expose()).ok()?.trim(), region)?;
    push_international(&number, out);
    Some(number.code().value().to_string().len().saturating_add(1))
}

fn unified(value: &str) -> Plaintext {
    let mut unified = Plaintext::new();
    unified.reserve(value.len());
    value.nfkc().map(unify_dash).for_each(|char| unified.push_char(char));
    unified
}

/// Appends `+`, the country's code and the national number. The crate's formatter writes the same for [`Mode::E164`]; it
/// looks for the pattern of a national notation first, which E.164 has no use for and which takes twice as long as all
/// the rest.
///
/// [`Mode::E164`]: phonenumber::Mode::E164
fn push_international(number: &PhoneNumber, out: &mut Plaintext) {
    out.push(b'+');
    out.extend(number.code().value().to_string().as_bytes());
    out.extend(number.national().to_string().as_bytes());
}

/// Loads the metadata and the expressions of one region.
pub(super) fn warm_up() {
    let _loaded = DATABASE.by_id("US").is_some();
}

fn valid_number(text: &str, region: &str) -> Option<PhoneNumber> {
    if text.len() > INPUT_OCTETS_MAX {
        return None;
    }
    let region = region.parse::<Id>().ok();
    phonenumber::parse(region, text).ok().filter(PhoneNumber::is_valid)
}

/// NFKC leaves these dashes alone, and the parser knows the ASCII one only.
fn unify_dash(char: char) -> char {
    match char {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' | '\u{FF0D}' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use phonenumber::Mode;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        /// Every country's codes and lengths, with the zeros that some keep.
        #[test]
        fn the_crate_writes_the_same(number in "\\+[1-9][0-9]{0,2}0{0,2}[0-9]{4,13}") {
            let Ok(number) = phonenumber::parse(None, &number) else { return Ok(()) };
            let mut out = Plaintext::new();
            push_international(&number, &mut out);
            let formatted = number.format().mode(Mode::E164).to_string();
            prop_assert_eq!(out.expose(), formatted.as_bytes());
        }
    }
}
