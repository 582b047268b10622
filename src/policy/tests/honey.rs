//! Honey as policy writes it.

use super::*;

fn with(honey: &str) -> String {
    format!("{GOOD}\n[[honey]]\n{honey}\n")
}

#[test]
fn a_column_or_some_of_its_values_are_bait() {
    let tag = "00112233445566778899aabbccddeeff";
    let policy = with(&format!("column = \"shop.Customers.phone\"\ntags = [\"{tag}\"]"));
    let policy = parse("policy.toml", &policy, 1).unwrap();
    let honey = policy.honey(ColumnId(0)).unwrap();
    let bait: Vec<u8> = (0..16).map(|digit| digit * 0x11).collect();
    assert!(honey.is_bait(Some(&bait)));
    for other in [None, Some(&[0; 16][..]), Some(&bait[..15]), Some(&[])] {
        assert!(!honey.is_bait(other), "{other:?}");
    }
    assert!(policy.has_honey() && policy.honey(ColumnId(1)).is_none());
    let policy = parse("policy.toml", &with("column = \"shop.customers.phone\""), 1).unwrap();
    assert!(policy.honey(ColumnId(0)).unwrap().is_bait(None), "the whole column");
    assert_eq!(policy.honey(ColumnId(0)).unwrap().reaction, HoneyReaction::Log, "unless it says otherwise");
    for (written, reaction) in [("log", HoneyReaction::Log), ("refuse", HoneyReaction::Refuse)] {
        let policy = with(&format!("column = \"shop.customers.phone\"\nreaction = \"{written}\""));
        let policy = parse("policy.toml", &policy, 1).unwrap();
        assert_eq!(policy.honey(ColumnId(0)).unwrap().reaction, reaction);
    }
    assert!(!parse("policy.toml", GOOD, 1).unwrap().has_honey());
}

#[test]
fn what_is_no_honey_is_named() {
    for (honey, told) in [
        ("column = \"shop.customers.phon\"", "is not protected; did you mean `shop.customers.phone`?"),
        ("column = \"shop.customers.phone\"\ntags = []", "tags is empty"),
        ("column = \"shop.customers.phone\"\ntags = [\"0011\"]", "has 16 bytes in hexadecimal"),
        ("column = \"shop.customers.phone\"\n[[honey]]\ncolumn = \"shop.customers.phone\"", "stands twice"),
        ("column = \"shop.customers.phone\"\nreaction = \"refus\"", "did you mean `refuse`"),
        ("column = \"shop.customers.phone\"\ntag = \"00\"", "did you mean `tags`"),
    ] {
        let refused = problems(|_| with(honey));
        assert!(refused.contains(told), "{honey}: {refused}");
    }
    let short = |good: String| {
        let short = good.replace("region = \"JP\" }", "region = \"JP\", length = 7 }");
        format!("{short}\n[[honey]]\ncolumn = \"shop.customers.phone\"\ntags = [\"00112233445566\"]\n")
    };
    assert!(problems(short).contains("needs one of at least 8 bytes"));
}
