use super::*;
use crate::policy::{Padding, TextSize};
use crate::schema::ColumnRef;
use proptest::prelude::*;

fn column(logical: LogicalType) -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new("shop", "customers", "phone"),
        keyset: "contact".into(),
        context: "shop.customers.phone".into(),
        logical,
        collation: None,
        index: None,
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    }
}

fn fit(chars_max: u32, value: &str) -> Option<usize> {
    fitting_octets(&column(LogicalType::Varchar { chars_max }), value.as_bytes())
}

/// Each line was inserted into VARCHAR(5) and TINYTEXT of MySQL 9.7 and MariaDB 10.11, strict and not.
#[test]
fn excess_white_space_is_cut_and_nothing_else() {
    assert_eq!(fit(5, "abcde"), Some(5));
    assert_eq!(fit(5, "abc     "), Some(5));
    assert_eq!(fit(5, "ééééé   "), Some(10));
    assert_eq!(fit(5, "abcd \t"), Some(5));
    assert_eq!(fit(5, "abcdefg"), None);
    assert_eq!(fit(5, "abcde x"), None);
    assert_eq!(fit(5, "abcde\u{3000}"), None);
    assert_eq!(fit(0, ""), Some(0));
    assert_eq!(fit(0, "a"), None);
    let tiny = column(LogicalType::Text(TextSize::Tiny));
    let fit = |value: String| fitting_octets(&tiny, value.as_bytes());
    assert_eq!(fit("a".repeat(255) + "   "), Some(255));
    assert_eq!(fit("a".repeat(250) + &" ".repeat(10)), Some(255));
    assert_eq!(fit("a".repeat(256)), None);
    assert_eq!(fit("a".repeat(254) + "é"), None);
}

#[test]
fn characters_are_counted_not_bytes() {
    assert_eq!(fit(2, "\u{1f600}\u{1f600}"), Some(8));
    assert_eq!(fit(2, "\u{1f600}\u{1f600}a"), None);
    let column = column(LogicalType::Varchar { chars_max: 3 });
    assert_eq!(fitting_octets(&column, b"\xc1\xfe\x1d"), Some(3));
    assert_eq!(fitting_octets(&column, b"\xc1\xfe\x1d\x01"), None);
}

proptest! {
    #[test]
    fn what_fits_is_within_the_column(value: Vec<u8>, chars_max in 0_u32..64) {
        let column = column(LogicalType::Varchar { chars_max });
        if let Some(octets) = fitting_octets(&column, &value) {
            prop_assert!(octets as u64 <= column.plaintext_octets_max());
            prop_assert!(octets <= value.len());
        }
    }

    #[test]
    fn text_fits_if_it_has_no_more_characters(value: String, chars_max in 0_u32..64) {
        let column = column(LogicalType::Varchar { chars_max });
        let found = fitting_octets(&column, value.as_bytes());
        let chars = u32::try_from(value.chars().count()).unwrap();
        if chars <= chars_max {
            prop_assert_eq!(found, Some(value.len()));
        } else {
            let kept: usize = value.chars().take(chars_max as usize).map(char::len_utf8).sum();
            let excess_is_blank = value[kept..].bytes().all(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            prop_assert_eq!(found, excess_is_blank.then_some(kept));
        }
    }
}
