use super::file::{column_ref, parse};
use super::*;
use crate::schema::{ColumnRef, TableRef};

const GOOD: &str = r#"
keysets = ["contact"]

[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(20)"
index = { normaliser = "e164", region = "JP" }

[[column]]
name = "shop.customers.address"
keyset = "contact"
type = "text"

[role.support]
access = "plain"
columns = { "shop.customers.address" = "deny" }

[role.engineer]
access = "deny"

[[account]]
user = "support"
role = "support"

[[account]]
user = "engineer"
host = "10.%"
role = "engineer"
firewall = "observe"
"#;

fn problems(change: impl Fn(String) -> String) -> String {
    parse("policy.toml", &change(GOOD.to_owned()), 1).expect_err("refused").to_string()
}

fn account(user: &str, host: &str) -> Account {
    Account { user: user.into(), host: host.into() }
}

#[test]
fn a_policy_gives_columns_roles_and_accounts() {
    let policy = parse("policy.toml", GOOD, 7).unwrap();
    assert_eq!(policy.version(), 7);
    let phone = policy.column_named(&TableRef::new("shop", "customers"), "phone").unwrap();
    let column = policy.column(phone).unwrap();
    assert_eq!(&*column.context, "shop.customers.phone");
    assert_eq!(column.logical, LogicalType::Varchar { chars_max: 20 });
    assert_eq!(column.padding, Padding::Block(16));
    let index = column.index.as_ref().unwrap();
    assert_eq!((index.length, &*index.domain), (16, "shop.customers.phone"));
    let (support, firewall) = policy.resolve(&account("support", "%"));
    assert_eq!(firewall, FirewallMode::Block);
    assert_eq!(policy.access(support, phone).0, Access::Plain);
    assert_eq!(policy.access(support, ColumnId(1)).0, Access::Deny);
}

#[test]
fn an_account_that_no_entry_names_is_denied_and_blocked() {
    let policy = parse("policy.toml", GOOD, 1).unwrap();
    for account in [account("someone", "%"), account("engineer", "192.0.2.1"), account("Support", "%")] {
        let (role, firewall) = policy.resolve(&account);
        assert_eq!(policy.access(role, ColumnId(0)).0, Access::Deny, "{account:?}");
        assert_eq!(firewall, FirewallMode::Block);
    }
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_one() {
    let text = problems(|good| good.replace("keyset = ", "keysat = "));
    assert_eq!(text, "policy.toml:6: unknown key `keysat`; did you mean `keyset`?");
    let text = problems(|good| good.replace("firewall = \"observe\"", "firewall = \"obsreve\""));
    let known = "Known here: block, learn, observe, off, protect";
    assert_eq!(text, format!("policy.toml:30: unknown value `obsreve`; did you mean `observe`? {known}"));
    let text = problems(|good| good.replacen("keyset = ", "padding = \"16\"\nkeyset = ", 1));
    assert_eq!(text, "policy.toml:6: invalid type: string \"16\", expected a whole number");
}

#[test]
fn references_to_what_is_not_declared_are_errors() {
    let text =
        problems(|good| good.replace("keyset = \"contact\"\ntype = \"text\"", "keyset = \"kontact\"\ntype = \"text\""));
    assert_eq!(text, "policy.toml:12: keyset `kontact` is not among `keysets`; did you mean `contact`?");
    let text = problems(|good| good.replace("role = \"engineer\"", "role = \"enginer\""));
    assert_eq!(text, "policy.toml:29: role `enginer` is not declared; did you mean `engineer`?");
    let text = problems(|good| good.replace("{ \"shop.customers.address\"", "{ \"shop.customers.adress\""));
    assert_eq!(
        text,
        "policy.toml:17: role `support`: `shop.customers.adress` is no protected column; \
         did you mean `shop.customers.address`?"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = problems(|good| {
        good.replace("varchar(20)", "varchar(20000)").replace("region = \"JP\"", "region = \"Japan\", length = 17")
    });
    assert_eq!(
        text,
        "policy.toml:7: varchar has 1 to 16383 characters in utf8mb4\n\
         policy.toml:8: region `Japan` is no ISO 3166 code in capitals, such as \"JP\"\n\
         policy.toml:8: an index has 2 to 16 bytes"
    );
}

#[test]
fn single_mistakes_have_their_own_words() {
    let cases: &[(&str, &str, &str)] = &[
        ("shop.customers.address\"\nkeyset", "Shop.Customers.Phone\"\nkeyset", "is declared twice"),
        ("type = \"text\"", "type = \"text\"\ncontext = \"shop.customers.phone\"", "belongs to another column"),
        ("type = \"text\"", "type = \"int\"", "use varchar(n), tinytext"),
        ("type = \"text\"", "type = \"text\"\ncollation = \"latin1_swedish_ci\"", "only utf8mb4 collations"),
        ("type = \"text\"", "type = \"text\"\npadding = 8", "padding is 0"),
        ("type = \"text\"", "type = \"text\"\nindex = { normaliser = \"raw\", region = \"JP\" }", "e164` only"),
        ("type = \"text\"", "type = \"text\"\nindex = { normaliser = \"e164\" }", "needs a region"),
        ("type = \"text\"", "type = \"text\"\nindex = { normaliser = \"raw\", length = 1 }", "2 to 16 bytes"),
        ("type = \"text\"", "type = \"text\"\ncontext = \"\"", "1 to 255 bytes"),
        (
            "type = \"text\"",
            "type = \"text\"\nindex = { normaliser = \"raw\", domain = \"shop.customers.phone\" }",
            "both need the same keyset and index",
        ),
        ("\"shop.customers.address\"\nkeyset", "\"customers.address\"\nkeyset", "`database.table.column`"),
        ("[role.engineer]", "[role.unlisted]", "is taken"),
        ("user = \"engineer\"\nhost = \"10.%\"", "user = \"support\"\nhost = \"10.%\"", "an earlier entry takes"),
        ("[\"contact\"]", "[\"contact\", \"contact\"]", "declared twice"),
        ("[\"contact\"]", "[\"contact\", \"a b\"]", "letters, digits"),
        ("[\"contact\"]", "[\"contact\", \"candado\"]", "Candado's own record of acts"),
    ];
    for (from, to, expected) in cases {
        let text = problems(|good| good.replace(from, to));
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn names_with_dots_stand_in_backticks() {
    assert_eq!(column_ref("a.b.c"), Some(ColumnRef::new("a", "b", "c")));
    assert_eq!(column_ref("`a.x`.`b``y`.c"), Some(ColumnRef::new("a.x", "b`y", "c")));
    for wrong in ["", "a.b", "a.b.c.d", "a..c", "`a.b.c", "`a`b.c.d", "a.b."] {
        assert_eq!(column_ref(wrong), None, "{wrong}");
    }
}

#[test]
fn the_shipped_policies_load() {
    let examples = ["minimal", "reporting", "rollout"].map(|name| format!("keys-policy/examples/{name}.toml"));
    for file in [vec!["keys-policy/policy.toml".to_owned()], examples.to_vec()].concat() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let text = std::fs::read_to_string(path).unwrap();
        let policy = parse(&file, &text, 1).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!policy.columns().is_empty(), "{file}");
    }
}

#[test]
fn the_rows_of_a_table_are_one_persons_each() {
    let with = |phone: &str, address: &str| {
        let subject = |name: &str| if name.is_empty() { String::new() } else { format!("subject = \"{name}\"\n") };
        let text = GOOD.replace("type = \"varchar(20)\"\n", &format!("type = \"varchar(20)\"\n{}", subject(phone)));
        text.replace("type = \"text\"\n", &format!("type = \"text\"\n{}", subject(address)))
    };
    let policy = parse("policy.toml", &with("customer_id", "Customer_ID"), 1).unwrap();
    assert_eq!(policy.columns()[0].subject.as_deref(), Some("customer_id"));
    assert_ne!(policy.digest(), parse("policy.toml", GOOD, 1).unwrap().digest(), "proxies must agree about it");
    assert!(parse("policy.toml", &with("customer_id", ""), 1).is_ok(), "one column may do without");
    let refused = |phone, address| parse("policy.toml", &with(phone, address), 1).unwrap_err().to_string();
    let two = refused("customer_id", "tenant");
    assert!(two.contains("is not that of `shop.customers.address`: the rows of a table are one person's"), "{two}");
    assert!(refused("Address", "").contains("is a protected column, which the database cannot find"));
    assert!(refused(&"x".repeat(65), "").contains("the bare name of a column"));
}

#[test]
fn envelopes_are_bound_to_one_column_of_their_row() {
    let with = |phone: &str, address: &str| {
        let text = GOOD.replace("type = \"varchar(20)\"\n", &format!("type = \"varchar(20)\"\n{phone}\n"));
        parse("policy.toml", &text.replace("type = \"text\"\n", &format!("type = \"text\"\n{address}\n")), 1)
    };
    let bound = |unbound| Some(Bind { to: "customer_id".into(), unbound });
    let policy = with("bind = \"customer_id\"", "").unwrap();
    assert_eq!(policy.columns()[0].bind, bound(Unbound::Refused), "what is not written is safe");
    let accepting = with("bind = \"customer_id\"\nunbound = \"accept\"", "").unwrap();
    assert_eq!(accepting.columns()[0].bind, bound(Unbound::Accepted));
    assert_ne!(policy.digest(), accepting.digest(), "proxies must agree about it");
    assert!(with("bind = \"customer_id\"", "subject = \"Customer_ID\"").is_ok(), "each column has one of them");
    for (phone, address, said) in [
        ("unbound = \"accept\"", "", "unbound is said of a column with `bind`"),
        ("bind = \"id\"\nsubject = \"id\"", "", "a column has `bind` or `subject`, not both"),
        ("bind = \"Address\"", "", "bind `Address` is a protected column"),
        ("bind = \"\"", "", "bind is the bare name of a column"),
        ("bind = \"id\"", "bind = \"email\"", "the columns of a table name one column for `bind` and `subject`"),
    ] {
        let refused = with(phone, address).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn rates_have_defaults_that_only_log_and_bounds() {
    let rates = |section: &str| parse("policy.toml", &format!("{GOOD}\n{section}"), 1).map(|policy| *policy.rates());
    assert_eq!(rates("").unwrap(), Rates { errors_max: 60, novel_max: 60, reaction: Reaction::Log });
    let written = "[rates]\nerrors_per_minute = 5\nnovel_per_minute = 7\nreaction = \"quarantine\"\nquarantine_s = 60";
    let quarantine = Reaction::Quarantine { seconds: 60 };
    assert_eq!(rates(written).unwrap(), Rates { errors_max: 5, novel_max: 7, reaction: quarantine });
    let delay = Reaction::Delay { milliseconds: 1_000 };
    assert_eq!(rates("[rates]\nreaction = \"delay\"").unwrap().reaction, delay);
    for (wrong, said) in [
        ("errors_per_minute = 0", "errors_per_minute is 1 to 1000000"),
        ("reaction = \"delay\"\ndelay_ms = 60000", "delay_ms is 1 to 10000"),
        ("delay_ms = 5", "delay_ms belongs to reaction \"delay\""),
        ("reaction = \"refuse\"\nquarantine_s = 5", "quarantine_s belongs to reaction \"quarantine\""),
        ("reaction = \"quarantin\"", "did you mean `quarantine`?"),
    ] {
        let problems = rates(&format!("[rates]\n{wrong}")).unwrap_err().to_string();
        assert!(problems.contains(said), "{wrong}: {problems}");
    }
}

#[test]
fn routines_are_declared_by_columns_that_are_there() {
    let wrong = |routine: &str| {
        let text = format!(
            "keysets = [\"main\"]\n[[column]]\nname = \"a.b.c\"\nkeyset = \"main\"\ntype = \"text\"\n{routine}"
        );
        parse("policy", &text, 1).map(drop).unwrap_err().to_string()
    };
    expect_test::expect![
        "policy:7: a routine's name is `database.routine`; a part with a dot in it stands in backticks"
    ]
    .assert_eq(&wrong("[[routine]]\nname = \"only\"\n"));
    expect_test::expect![[r#"
        policy:9: `a.b.x` is no protected column, and not `-`; did you mean `a.b.c`?
        policy:11: routine `A.P` is allowed twice"#]]
    .assert_eq(&wrong(
        "[[routine]]\nname = \"a.p\"\nresults = [[\"-\", \"A.b.C\"],\n[\"a.b.x\"]]\n[[routine]]\nname = \"A.P\"\n",
    ));
}

#[test]
fn a_column_of_password_hashes_asks_for_costs_and_has_no_index() {
    let with = |column: &str, costs: &str| {
        let kind = GOOD.replace("type = \"text\"", &format!("type = \"text\"\nkind = \"password_hash\"\n{column}"));
        parse("policy.toml", &format!("{kind}{costs}"), 1)
    };
    let policy = with("", "[password_hash]\nbcrypt_cost = 12\n").unwrap();
    let column = |name| policy.column_named(&TableRef::new("shop", "customers"), name).unwrap();
    let costs = policy.password_hash(column("address")).unwrap();
    assert_eq!(*costs, HashCosts { bcrypt_cost: 12, ..HashCosts::default() });
    assert_eq!(policy.password_hash(column("phone")), None);
    let wrong = |column: &str, costs: &str| with(column, costs).expect_err("refused").to_string();
    assert!(wrong("index = { normaliser = \"raw\" }", "").contains("a column of password hashes has no index"));
    assert!(wrong("", "[password_hash]\nbcrypt_cost = 32\n").contains("bcrypt_cost is 1 to 31"));
    assert!(wrong("", "[password_hash]\nbcrypt = 12\n").contains("bcrypt"));
    let nowhere = problems(|good| format!("{good}[password_hash]\nbcrypt_cost = 12\n"));
    assert!(nowhere.contains("and there is none"), "{nowhere}");
    let misspelt = problems(|good| good.replace("type = \"text\"", "type = \"text\"\nkind = \"password\""));
    assert!(misspelt.contains("password_hash"), "{misspelt}");
}

mod bindings;
mod digest;
mod honey;
mod masks;
