use super::*;
use expect_test::{Expect, expect};

fn range(low: u8, high: Option<u8>) -> PrefixRange {
    PrefixRange { low: vec![0xc1, low], high: high.map(|high| vec![0xc1, high]) }
}

fn ranges(ranges: Vec<PrefixRange>) -> Term {
    Term::Value { ranges, beside: None }
}

fn param(versions: usize) -> Term {
    Term::Param { versions, beside: Beside::Nothing }
}

fn value() -> Term {
    ranges(vec![range(5, Some(6))])
}

fn check(comparison: Comparison, terms: &[Term], expected: &Expect) {
    let mut out = Vec::new();
    put_predicate(b"t.phone", comparison, terms, &mut out);
    expected.assert_eq(str::from_utf8(&out).unwrap());
}

#[test]
fn a_value_is_a_bare_range() {
    check(Comparison::Equal, &[value()], &expect!["(t.phone >= x'C105' AND t.phone < x'C106')"]);
    check(Comparison::NotEqual, &[value()], &expect!["(NOT (t.phone >= x'C105' AND t.phone < x'C106'))"]);
    check(
        Comparison::NullSafeEqual,
        &[value()],
        &expect!["((t.phone IS NOT NULL AND (t.phone >= x'C105' AND t.phone < x'C106')))"],
    );
}

#[test]
fn values_and_index_versions_are_alternatives() {
    let both = ranges(vec![range(5, Some(6)), range(9, Some(10))]);
    check(
        Comparison::Equal,
        &[both],
        &expect!["((t.phone >= x'C105' AND t.phone < x'C106') OR (t.phone >= x'C109' AND t.phone < x'C10A'))"],
    );
    check(
        Comparison::NotEqual,
        &[value(), param(1)],
        &expect!["(NOT ((t.phone >= x'C105' AND t.phone < x'C106') OR (t.phone >= ? AND t.phone < ?)))"],
    );
}

#[test]
fn parameters_stand_for_each_bound() {
    check(Comparison::Equal, &[param(1)], &expect!["(t.phone >= ? AND t.phone < ?)"]);
    check(
        Comparison::Equal,
        &[param(2)],
        &expect!["((t.phone >= ? AND t.phone < ?) OR (t.phone >= ? AND t.phone < ?))"],
    );
    check(
        Comparison::NullSafeEqual,
        &[param(1)],
        &expect!["(((t.phone IS NOT NULL AND (t.phone >= ? AND t.phone < ?)) OR (t.phone IS NULL AND ? IS NULL)))"],
    );
}

#[test]
fn null_in_a_list_keeps_its_meaning() {
    check(Comparison::Equal, &[Term::Null], &expect!["(t.phone = NULL)"]);
    check(
        Comparison::NotEqual,
        &[value(), Term::Null],
        &expect!["(NOT ((t.phone >= x'C105' AND t.phone < x'C106') OR (t.phone = NULL)))"],
    );
    check(Comparison::NullSafeEqual, &[Term::Null], &expect!["((t.phone IS NULL))"]);
}

#[test]
fn a_prefix_without_successor_has_no_upper_bound_and_an_impossible_value_is_false() {
    check(Comparison::Equal, &[ranges(vec![range(5, None)])], &expect!["(t.phone >= x'C105')"]);
    check(Comparison::Equal, &[ranges(vec![])], &expect!["(t.phone IS NULL AND NULL)"]);
}
