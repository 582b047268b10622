use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::tests::text_keys;

const WIDE: LogicalType = LogicalType::Varchar { chars_max: 200 };

fn masked_as(mask: &Mask, logical: LogicalType, value: &[u8]) -> String {
    let mut out = Plaintext::new();
    super::mask(mask, &text_keys(), logical, &value.to_vec().into(), &mut out);
    String::from_utf8(out.expose().to_vec()).unwrap()
}

fn masked(mask: &Mask, value: &str) -> String {
    masked_as(mask, WIDE, value.as_bytes())
}

fn phone(shown: u8) -> Mask {
    Mask::Phone { shown, region: Some("SE".into()) }
}

fn template(pieces: &[Piece]) -> Mask {
    Mask::Template(Arc::from(pieces))
}

#[test]
fn each_mask_shows_what_it_says() {
    let city = |after| Mask::Address(AddressPart::City { after });
    for (mask, value, shown) in [
        (phone(2), "+46 70 174 06 05", "+46****05"),
        (phone(2), "070-174 06 05", "+46****05"),
        (phone(4), "+81 90 1234 5678", "+81****5678"),
        (phone(2), "no number", "****"),
        (phone(2), "070", "****"),
        (phone(5), "+46 70 174 06 05", "****"),
        (Mask::Email { shown: 1 }, "anna@example.org", "a****@example.org"),
        (Mask::Email { shown: 1 }, "a@example.org", "****@example.org"),
        (Mask::Email { shown: 1 }, "anna", "****"),
        (Mask::Email { shown: 1 }, "anna@home, second floor", "****"),
        (city(0), "Storgatan 1, 114 55 Stockholm", "****, Stockholm"),
        (city(1), "1 Main Street, New York 10001, USA", "****, New York"),
        (city(0), "Storgatan 1 Stockholm", "****"),
        (city(0), "Storgatan 1, 114 55", "****"),
        (city(1), "Storgatan 1, Stockholm", "****"),
        (Mask::Address(AddressPart::Nothing), "Storgatan 1, Stockholm", "****"),
        (Mask::First(2), "Åsa Öberg", "Ås****"),
        (Mask::Last(4), "4929123412341234", "****1234"),
        (Mask::Fixed("hidden".into()), "anything", "hidden"),
        (
            template(&[
                Piece::Text("<".into()),
                Piece::First(1),
                Piece::Text("|".into()),
                Piece::Last(2),
                Piece::Text(">".into()),
            ]),
            "abcdef",
            "<a|ef>",
        ),
    ] {
        assert_eq!(masked(&mask, value), shown, "{mask:?} {value}");
    }
}

#[test]
fn a_value_that_is_too_short_is_hidden_wholly() {
    let both = template(&[Piece::First(2), Piece::Last(2)]);
    for (mask, shown) in [(Mask::First(3), 3_usize), (Mask::Last(3), 3), (both, 4)] {
        for length in 0..2 * shown {
            let value = "äbcdefgh".chars().take(length).collect::<String>();
            assert!(masked(&mask, &value).chars().all(|char| char == '*'), "{mask:?} {value}");
        }
        let value = "äbcdefgh".chars().take(2 * shown).collect::<String>();
        assert!(!masked(&mask, &value).chars().all(|char| char == '*'), "{mask:?} {value}");
    }
}

#[test]
fn what_is_no_text_is_hidden_wholly() {
    for mask in [phone(2), Mask::First(1), Mask::Last(1), Mask::Hash] {
        assert_eq!(masked_as(&mask, WIDE, b"\xff\xfe123456789"), "****");
    }
}

#[test]
fn pseudonyms_are_those_of_the_index_and_not_its_tags() {
    let keys = text_keys();
    let one = masked(&Mask::Hash, "anna@example.org");
    assert_eq!(one.len(), crate::policy::PSEUDONYM_CHARS);
    assert_eq!(one, masked(&Mask::Hash, "anna@example.org"));
    assert_ne!(one, masked(&Mask::Hash, "anna@example.net"));
    let tag = keys.search(&b"anna@example.org".to_vec().into()).unwrap().remove(0).low;
    let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!tag.contains(&one), "the database must not be searched by what a report shows");
    assert_eq!(masked(&template(&[Piece::Text("c-".into()), Piece::Hash]), "anna@example.org"), format!("c-{one}"));
}

fn any_mask() -> impl Strategy<Value = Mask> {
    let piece = || {
        prop_oneof![
            "[a-z]{0,4}".prop_map(|text| Piece::Text(text.into())),
            (1_u8..6).prop_map(Piece::First),
            (1_u8..6).prop_map(Piece::Last),
            Just(Piece::Hash)
        ]
    };
    prop_oneof![
        (1_u8..6).prop_map(phone),
        (1_u8..6).prop_map(|shown| Mask::Email { shown }),
        (0_u8..3).prop_map(|after| Mask::Address(AddressPart::City { after })),
        Just(Mask::Address(AddressPart::Nothing)),
        (1_u8..6).prop_map(Mask::First),
        (1_u8..6).prop_map(Mask::Last),
        "[a-z]{0,9}".prop_map(|text| Mask::Fixed(text.into())),
        Just(Mask::Hash),
        prop::collection::vec(piece(), 0..4).prop_map(|pieces| template(&pieces)),
    ]
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        any::<Vec<u8>>(),
        "\\+[0-9]{1,15}".prop_map(String::into_bytes),
        "[a-zåö]{0,6}@[a-z]{1,5}\\.(org|se)".prop_map(String::into_bytes),
        "[A-Z][a-z]{2,8} [0-9]{1,3}, ([0-9]{5} )?[A-Z][a-zåö]{2,8}(, [A-Z]{2})?".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn what_is_shown_fits_the_column(mask in any_mask(), value in any_value(), chars_max in 1_u32..30) {
        let shown = masked_as(&mask, LogicalType::Varchar { chars_max }, &value);
        prop_assert!(shown.chars().count() <= usize::try_from(chars_max).unwrap());
        let long = vec![b'x'; 300].into_iter().chain(value).collect::<Vec<u8>>();
        prop_assert!(masked_as(&mask, LogicalType::Text(TextSize::Tiny), &long).len() <= 255);
    }

    /// Values that agree in what is shown cannot be told apart, whatever else is in them and however long they are.
    #[test]
    fn nothing_else_of_a_value_is_shown(
        shown in 1_u8..6,
        kept in "[a-zåö0-9]{6}",
        one in "\\PC{10,40}",
        other in "\\PC{10,40}",
    ) {
        let (first, last) = (Mask::First(shown), Mask::Last(shown));
        prop_assert_eq!(masked(&first, &format!("{kept}{one}")), masked(&first, &format!("{kept}{other}")));
        prop_assert_eq!(masked(&last, &format!("{one}{kept}")), masked(&last, &format!("{other}{kept}")));
        let both = template(&[Piece::First(shown), Piece::Last(shown)]);
        let around = |inner: &str| masked(&both, &format!("{kept}{inner}{kept}"));
        prop_assert_eq!(around(&one), around(&other));
    }

    #[test]
    fn addresses_of_a_city_are_alike(one in "[A-Z][a-z]{1,20} [0-9]{1,4}", other in "[A-Z][a-z]{1,9} [0-9]{1,3} [a-z]") {
        let city = Mask::Address(AddressPart::City { after: 0 });
        prop_assert_eq!(
            masked(&city, &format!("{one}, 114 55 Malmö")),
            masked(&city, &format!("{other}, 211 20 Malmö"))
        );
    }

    #[test]
    fn nobody_is_told_from_his_neighbour(one in "[2-9][0-9]{6}", other in "[2-9][0-9]{6}") {
        let numbers = [format!("+4670{one}05"), format!("+4673{other}05")];
        let shown = numbers.map(|number| masked(&phone(2), &number));
        let known = ["****".to_owned(), "+46****05".to_owned()];
        prop_assert!(shown.iter().all(|shown| known.contains(shown)), "{:?}", shown);
    }
}
