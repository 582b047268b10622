use std::cmp::Ordering;

use super::SortOrder;

fn compare(collation: &str, left: &str, right: &str) -> Ordering {
    let order = SortOrder::of(collation).unwrap();
    let weigh = |value| {
        let mut weights = Vec::new();
        order.weigh(value, |more| weights.extend_from_slice(more));
        weights
    };
    order.compare(&weigh(left), &weigh(right))
}

#[test]
fn every_named_collation_has_an_order() {
    for name in SortOrder::NAMES {
        assert!(SortOrder::of(name).is_some(), "{name}");
        assert!(SortOrder::of(&name.to_uppercase()).is_some(), "{name}");
    }
    for unknown in ["utf8mb4_swedish_ci", "utf8mb4_uca1400_ai_ci", "utf8mb4_0900_as_cs", "latin1_bin", ""] {
        assert_eq!(SortOrder::of(unknown), None, "{unknown}");
    }
}

#[test]
fn blanks_at_the_end_count_or_do_not() {
    assert_eq!(compare("utf8mb4_bin", "a", "a  "), Ordering::Equal);
    assert_eq!(compare("utf8mb4_bin", "", " "), Ordering::Equal);
    assert_eq!(compare("utf8mb4_bin", "a", "a\t"), Ordering::Greater);
    assert_eq!(compare("utf8mb4_bin", "a", "a \t"), Ordering::Greater);
    assert_eq!(compare("utf8mb4_bin", "a", "a!"), Ordering::Less);
    assert_eq!(compare("utf8mb4_0900_bin", "a", "a "), Ordering::Less);
    assert_eq!(compare("utf8mb4_0900_bin", "a", "a\t"), Ordering::Less);
}

#[test]
fn letters_without_case_and_accents_are_equal() {
    for collation in ["utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_unicode_ci"] {
        assert_eq!(compare(collation, "aB", "\u{c4}b"), Ordering::Equal, "{collation}");
        assert_eq!(compare(collation, "b", "A"), Ordering::Greater, "{collation}");
    }
    assert_eq!(compare("utf8mb4_0900_ai_ci", "\u{df}", "ss"), Ordering::Equal);
    assert_eq!(compare("utf8mb4_general_ci", "\u{df}", "s"), Ordering::Equal);
    assert_eq!(compare("utf8mb4_0900_ai_ci", "a", "a "), Ordering::Less);
    assert_eq!(compare("utf8mb4_unicode_ci", "a", "a "), Ordering::Equal);
    assert_eq!(compare("utf8mb4_general_ci", "\u{1f600}", "\u{1f601}"), Ordering::Equal);
    assert_eq!(compare("utf8mb4_0900_ai_ci", "\u{1f600}", "\u{1f601}"), Ordering::Less);
    assert_eq!(compare("utf8mb4_0900_ai_ci", "\u{ac01}", "\u{1100}\u{1161}\u{11a8}"), Ordering::Equal);
    assert_eq!(compare("utf8mb4_0900_ai_ci", "\u{9fff}", "\u{20000}"), Ordering::Greater);
}

#[test]
fn code_points_above_the_basic_plane_come_last() {
    assert_eq!(compare("utf8mb4_bin", "\u{ffff}", "\u{1f600}"), Ordering::Less);
    assert_eq!(compare("utf8mb4_bin", "Z", "a"), Ordering::Less);
}
