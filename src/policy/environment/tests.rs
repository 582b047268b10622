use crate::policy::{Account, FirewallMode, Policy, RoleId, file};

const POLICY: &str = r#"
keysets = ["contact"]
[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(20)"
[role.backend]
access = "plain"
[role.engineer]
access = "deny"
[budget.backend]
cells_per_day = 10
[[account]]
user = "app"
role = "backend"
[environment.prod]
[environment.staging]
unlisted = { firewall = "observe" }
budget.backend = { cells_per_day = 1000 }
[[environment.staging.account]]
user = "app"
role = "backend"
firewall = "learn"
[[environment.staging.account]]
user = "ana"
host = "10.0.0.%"
role = "backend"
"#;

fn parsed(text: &str, environment: Option<&str>) -> Result<Policy, String> {
    file::parse_for("policy.toml", text, 1, environment).map_err(|problems| problems.to_string())
}

fn account(user: &str, host: &str) -> Account {
    Account { user: user.into(), host: host.into() }
}

#[test]
fn an_environment_says_who_has_which_role() {
    let of = |name, user, host| parsed(POLICY, Some(name)).unwrap().resolve(&account(user, host));
    let (backend, unlisted) = (RoleId(0), RoleId(2));
    assert_eq!(of("prod", "app", "%"), (backend, FirewallMode::Block));
    assert_eq!(of("prod", "ana", "10.0.0.%"), (unlisted, FirewallMode::Block));
    assert_eq!(of("staging", "app", "%"), (backend, FirewallMode::Learn));
    assert_eq!(of("staging", "ana", "10.0.0.%"), (backend, FirewallMode::Block));
    assert_eq!(of("staging", "ana", "%"), (unlisted, FirewallMode::Observe));
    let cells = |name| parsed(POLICY, Some(name)).unwrap().budget(backend).unwrap().day;
    assert_eq!((cells("prod"), cells("staging")), (Some(10), Some(1000)));
    let policy = parsed(POLICY, Some("prod")).unwrap();
    assert_eq!(policy.environment(), Some("prod"));
    // What is protected is the same everywhere.
    assert_eq!(policy.digest(), parsed(POLICY, Some("staging")).unwrap().digest());
}

#[test]
fn an_environment_is_chosen_if_there_are_any_and_only_then() {
    let told = parsed(POLICY, Some("stagign")).unwrap_err();
    assert!(told.contains("there is no [environment.stagign]; did you mean `staging`?"), "{told}");
    let told = parsed(POLICY, None).unwrap_err();
    assert!(told.contains("none is chosen") && told.contains("one of prod, staging"), "{told}");
    let (without, _) = POLICY.split_once("[environment.prod]").unwrap();
    assert_eq!(parsed(without, None).unwrap().environment(), None);
    let told = parsed(without, Some("prod")).unwrap_err();
    assert!(told.contains("there is no [environment.prod]"), "{told}");
    let names = file::environments("policy.toml", POLICY).unwrap();
    assert_eq!(names, ["prod", "staging"]);
}

#[test]
fn all_environments_are_checked_whichever_is_chosen() {
    for (from, to, expected) in [
        (
            "user = \"ana\"\n",
            "user = \"ana\"\nrole = \"backed\"\n[[environment.staging.account]]\nuser = \"bea\"\n",
            "role `backed`",
        ),
        (
            "user = \"ana\"\nhost = \"10.0.0.%\"\n",
            "user = \"app\"\n",
            "an earlier entry takes all accounts of this one",
        ),
        ("budget.backend", "budget.backed", "there is no such role; did you mean `backend`?"),
        ("unlisted = { firewall = \"observe\" }\n", "column = []\n", "unknown key `column`"),
        ("unlisted = { firewall = \"observe\" }\n", "keysets = []\n", "unknown key `keysets`"),
        ("unlisted = { firewall = \"observe\" }\n", "role = {}\n", "unknown key `role`"),
    ] {
        assert!(POLICY.contains(from));
        let told = parsed(&POLICY.replacen(from, to, 1), Some("prod")).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}
