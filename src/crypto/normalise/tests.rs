//! What each normaliser takes for the same value.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn normal(normaliser: &Normaliser, value: &str) -> String {
    let mut out = Plaintext::new();
    normalise(normaliser, &Plaintext::from(value.as_bytes().to_vec()), &mut out).unwrap();
    String::from_utf8(out.expose().to_vec()).unwrap()
}

fn e164(region: &str) -> Normaliser {
    Normaliser::E164 { region: Arc::from(region) }
}

#[test]
fn e164_unites_the_notations_of_a_number() {
    let check = |region: &str, value: &str, expected: &str| {
        assert_eq!(normal(&e164(region), value), expected, "{value} in {region}");
    };
    for value in [
        "+819012345678",
        "090-1234-5678",
        "(090) 1234 5678",
        "+81 90-1234-5678",
        "+81 (0)90-1234-5678",
        "０９０−１２３４−５６７８",
        "０９０ー１２３４ー５６７８",
        "090‐1234‐5678",
        "090–1234—5678",
        " 090-1234-5678 ",
    ] {
        check("JP", value, "+819012345678");
    }
    check("JP", "03-1234-5678 ext 12", "+81312345678;ext=12");
    check("JP", "03-1234-5678", "+81312345678");
    check("IT", "06 698 81234", "+390669881234");
    check("US", "1-800-FLOWERS", "+18003569377");
    check("US", "+81 90-1234-5678", "+819012345678");
}

#[test]
fn e164_keeps_what_is_no_valid_number_in_a_class_of_its_own() {
    let check = |region: &str, value: &str, expected: &str| {
        assert_eq!(normal(&e164(region), value), expected, "{value} in {region}");
    };
    check("JP", "110", "raw:110");
    check("JP", "1-1-0", "raw:110");
    check("JP", "0081 90-1234-5678", "raw:00819012345678");
    check("JP", "+81901234567", "raw:81901234567");
    check("", "090-1234-5678", "raw:09012345678");
    check("JP", "", "raw:");
    check("JP", "unknown", "raw:unknown");
    check("JP", "n/a", "raw:n/a");
    check("JP", &"9".repeat(300), &format!("raw:{}", "9".repeat(300)));
}

#[test]
fn email_folds_case_and_width_and_keeps_dots_and_tags() {
    let check = |value: &str, expected: &str| assert_eq!(normal(&Normaliser::Email, value), expected);
    check("  Ann.Lee+News@Example.COM\t", "ann.lee+news@example.com");
    check("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann@example.com");
    check("JOSÉ@example.com", "josé@example.com");
    check("jose\u{301}@example.com", "josé@example.com");
    check("annlee@example.com", "annlee@example.com");
}

#[test]
fn text_folds_case_width_and_white_space() {
    let check = |value: &str, expected: &str| assert_eq!(normal(&Normaliser::Text, value), expected);
    check("  Calle  de\t Alcalá\n12 ", "calle de alcalá 12");
    check("Main  STREET 1", "main street 1");
    check("東京都　千代田区　１−１", "東京都 千代田区 1−1");
    check("ΟΔΟΣ", "οδοσ");
    check("οδος", "οδοσ");
    check("resume", "resume");
    check("résumé", "résumé");
    check("   ", "");
}

#[test]
fn raw_takes_bytes_as_they_are() {
    let mut out = Plaintext::new();
    normalise(&Normaliser::Raw, &Plaintext::from(vec![0, 0xFF, b' ']), &mut out).unwrap();
    assert_eq!(out.expose(), [0, 0xFF, b' ']);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for normaliser in [Normaliser::Text, Normaliser::Email, e164("JP")] {
        let mut out = Plaintext::new();
        let refused = normalise(&normaliser, &Plaintext::from(vec![0xC1, 0xFE]), &mut out);
        assert_eq!(refused, Err(NormaliseError::NotUtf8));
        assert!(out.is_empty());
    }
}

#[test]
fn ids_are_those_that_stored_indexes_hold() {
    let ids = [Normaliser::Raw, Normaliser::Text, Normaliser::Email, e164("JP")].map(|one| normaliser_id(&one));
    assert_eq!(ids, ["raw.1", "text.1", "email.1", "e164.1"]);
}

proptest! {
    /// A panic in the telephone parser would take the connection down.
    #[test]
    fn e164_never_panics(value in "[+0-9０-９() .;/a-z#-]{0,40}|\\PC{0,40}") {
        let normal = normal(&e164("JP"), &value);
        prop_assert!(normal.starts_with('+') || normal.starts_with("raw:"));
    }

    #[test]
    fn text_is_normal_once_normalised(value in "\\PC{0,40}") {
        let once = normal(&Normaliser::Text, &value);
        prop_assert_eq!(normal(&Normaliser::Text, &once), once);
    }

    #[test]
    fn ascii_takes_no_other_path(value in "[ -~\t]{0,40}") {
        // The sharp s forces the general path and is cut off again.
        let general = normal(&Normaliser::Text, &format!("{value}ß"));
        let expected = general.strip_suffix('ß').unwrap().trim_end();
        prop_assert_eq!(normal(&Normaliser::Text, &value), expected);
    }
}
