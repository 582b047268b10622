use crate::policy::{ColumnId, Policy, RoleId, file};

const POLICY: &str = r#"
keysets = ["contact"]
[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(20)"
mask = { kind = "last", shown = 2 }
index = { normaliser = "raw" }
[[column]]
name = "shop.customers.note"
keyset = "contact"
type = "text"
[role.support]
access = "deny"
columns = { "shop.customers.phone" = "masked" }
[role.support.search]
columns = ["shop.customers.phone"]
"#;

fn parsed(text: &str) -> Result<Policy, String> {
    file::parse("policy.toml", text, 1).map_err(|problems| problems.to_string())
}

#[test]
fn a_search_is_granted_by_column_and_by_nothing_else() {
    let policy = parsed(POLICY).unwrap();
    let (support, unlisted) = (RoleId(0), RoleId(1));
    assert_eq!(policy.search(support).unwrap().per_minute, 30);
    let granted = |role, column| policy.search(role).is_some_and(|grant| grant.covers(ColumnId(column)));
    assert_eq!([granted(support, 0), granted(support, 1), granted(unlisted, 0)], [true, false, false]);
    let other = parsed(&format!("{POLICY}per_minute = 5\n")).unwrap();
    assert_eq!(other.search(support).unwrap().per_minute, 5);
    // Who does not see a column may find rows by it.
    let denied = POLICY.replace("\"masked\" }", "\"deny\" }");
    assert!(parsed(&denied).unwrap().search(support).unwrap().covers(ColumnId(0)));
}

#[test]
fn what_cannot_be_searched_is_no_grant() {
    let granted = "columns = [\"shop.customers.phone\"]\n";
    for (from, to, expected) in [
        (granted, "columns = [\"shop.customers.phon\"]\n", "`shop.customers.phon` is no protected column"),
        (granted, "columns = [\"shop.customers.note\"]\n", "`shop.customers.note` has no index to search by"),
        ("\"masked\" }", "\"plain\" }", "sees the values of `shop.customers.phone`, and searches by them anyway"),
        (granted, "columns = [\"shop.customers.phone\", \"shop.customers.phone\"]\n", "is granted twice"),
        (granted, "columns = [\"shop.customers.phone\"]\nper_minute = 0\n", "per_minute is 1 to 100000"),
        (granted, "columns = [\"shop.customers.phone\"]\nper_hour = 9\n", "per_hour"),
    ] {
        assert!(POLICY.contains(from));
        let told = parsed(&POLICY.replacen(from, to, 1)).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}
