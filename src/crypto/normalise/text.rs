//! `text.1`: NFKC, lower case, runs of white space to one space, none at the ends.

use unicode_normalization::UnicodeNormalization;

use crate::crypto::Plaintext;

/// Appends the normal form.
pub(super) fn normalise(value: &str, out: &mut Plaintext) {
    if value.is_ascii() {
        // NFKC leaves ASCII alone.
        collapse(value.chars().map(|char| char.to_ascii_lowercase()), out);
    } else {
        collapse(value.nfkc().flat_map(char::to_lowercase).map(fold_sigma), out);
    }
}

/// Unicode folds the final sigma to the plain one; lower case alone would keep two forms of one capital.
fn fold_sigma(char: char) -> char {
    if char == 'ς' { 'σ' } else { char }
}

fn collapse(chars: impl Iterator<Item = char>, out: &mut Plaintext) {
    let start = out.len();
    let mut space_due = false;
    for char in chars {
        if char.is_whitespace() {
            space_due = out.len() > start;
        } else {
            if std::mem::take(&mut space_due) {
                out.push(b' ');
            }
            out.push_char(char);
        }
    }
}
