//! The AWS policies in keys-policy: valid, and with the boundaries that SECURITY relies on. What AWS makes of them
//! cannot be tested here.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use serde_json::Value;

fn policy(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/aws").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// One string or a list of strings.
fn list(value: &Value) -> Vec<&str> {
    match value.as_str() {
        Some(text) => vec![text],
        None => value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect(),
    }
}

/// Actions of all statements with that effect whose principal ends in `role`, if the policy names principals.
fn actions<'a>(policy: &'a Value, effect: &str, role: &str) -> BTreeSet<&'a str> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements
        .filter(|statement| statement["Effect"] == effect)
        .filter(|statement| {
            let principal = &statement["Principal"];
            let everybody = principal.is_null() || principal == "*";
            everybody || list(&principal["AWS"]).iter().any(|name| name.ends_with(role))
        })
        .filter(|statement| !statement["Action"].is_null())
        .flat_map(|statement| list(&statement["Action"]))
        .collect()
}

#[test]
fn every_policy_is_well_formed() {
    for name in ["kms-key-policy.json", "proxy-iam-policy.json", "security-iam-policy.json", "auditor-iam-policy.json"]
    {
        let policy = policy(name);
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sids.insert(sid) && sid.chars().all(char::is_alphanumeric), "{name}: {sid}");
            assert!(["Allow", "Deny"].contains(&statement["Effect"].as_str().unwrap()), "{name}: {sid}");
            let named = if statement["Action"].is_null() { &statement["NotAction"] } else { &statement["Action"] };
            assert!(list(named).iter().all(|action| action.starts_with("kms:")), "{name}: {sid}");
            assert!(!list(named).contains(&"kms:*"), "{name}: {sid}");
            assert!(!list(&statement["Resource"]).is_empty(), "{name}: {sid}");
        }
    }
}

#[test]
fn the_proxy_opens_keys_and_nothing_else() {
    let expected = BTreeSet::from(["kms:Decrypt", "kms:DescribeKey"]);
    assert_eq!(actions(&policy("kms-key-policy.json"), "Allow", "role/candado-proxy"), expected);
    assert_eq!(actions(&policy("proxy-iam-policy.json"), "Allow", ""), expected);
    let denied = actions(&policy("proxy-iam-policy.json"), "Deny", "").len();
    assert!(denied >= 8, "minting, wrapping and grants are denied too");
}

/// Statements of an effect about an action, for a role if the policy names principals.
fn about<'a>(policy: &'a Value, effect: &str, action: &str, role: &str) -> Vec<&'a Value> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements
        .filter(|statement| statement["Effect"] == effect && !statement["Action"].is_null())
        .filter(|statement| list(&statement["Action"]).contains(&action))
        .filter(|statement| {
            let principal = &statement["Principal"];
            let everybody = principal.is_null() || principal == "*";
            let condition = &statement["Condition"];
            let (only, not) =
                (&condition["ArnEquals"]["aws:PrincipalArn"], &condition["ArnNotEquals"]["aws:PrincipalArn"]);
            let names = |value: &Value| !value.is_null() && list(value).iter().any(|name| name.ends_with(role));
            let named = everybody || names(&principal["AWS"]);
            named && (only.is_null() || names(only)) && !names(not)
        })
        .collect()
}

const PURPOSE: &str = "kms:EncryptionContext:purpose";

/// The purposes that allowing statements on an action name.
fn purposes<'a>(policy: &'a Value, action: &str, role: &str) -> BTreeSet<&'a str> {
    let of = |statement: &&'a Value| {
        let condition = &statement["Condition"];
        let equals = &condition["StringEquals"][PURPOSE];
        list(if equals.is_null() { &condition["StringLike"][PURPOSE] } else { equals })
    };
    about(policy, "Allow", action, role).iter().flat_map(of).collect()
}

#[test]
fn the_security_team_opens_the_audit_key_and_never_sees_another() {
    for (name, role) in [
        ("kms-key-policy.json", "role/candado-security"),
        ("security-iam-policy.json", ""),
        ("kms-key-policy.json", "role/candado-auditor"),
        ("auditor-iam-policy.json", ""),
    ] {
        let policy = policy(name);
        assert_eq!(purposes(&policy, "kms:Decrypt", role), BTreeSet::from(["audit"]), "{name} {role}");
        for never in ["kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:Encrypt"] {
            assert!(about(&policy, "Allow", never, role).is_empty(), "{name} {role} {never}");
        }
    }
    for (name, role) in [("kms-key-policy.json", "role/candado-security"), ("security-iam-policy.json", "")] {
        let policy = policy(name);
        assert!(actions(&policy, "Allow", role).contains("kms:GenerateDataKeyWithoutPlaintext"), "{name}");
        // Whatever other policies say: no key of a column, and no key at all in plaintext.
        let denied = about(&policy, "Deny", "kms:Decrypt", role);
        assert!(denied.iter().any(|deny| deny["Condition"]["StringNotEquals"][PURPOSE] == "audit"), "{name}");
        for never in ["kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:Encrypt"] {
            assert!(!about(&policy, "Deny", never, role).is_empty(), "{name} {never}");
        }
    }
}

#[test]
fn nobody_rewraps_what_he_can_open() {
    // ReEncrypt can change the context: with it, whoever opens audit keys would open any key.
    let columns = BTreeSet::from(["data", "index", "subject"]);
    for (name, role) in [("kms-key-policy.json", "role/candado-security"), ("security-iam-policy.json", "")] {
        let policy = policy(name);
        for action in ["kms:ReEncryptFrom", "kms:ReEncryptTo"] {
            assert_eq!(purposes(&policy, action, role), columns, "{name}");
            let denied = about(&policy, "Deny", action, role);
            assert!(denied.iter().any(|deny| deny["Condition"]["StringEquals"][PURPOSE] == "audit"), "{name}");
        }
    }
    let policy = policy("kms-key-policy.json");
    for role in ["role/candado-key-custodian", "role/candado-auditor", "role/candado-proxy", "role/candado-backfill"] {
        let audit = if role.ends_with("custodian") { BTreeSet::from(["audit"]) } else { BTreeSet::new() };
        assert_eq!(purposes(&policy, "kms:ReEncryptTo", role), audit, "{role}");
    }
    assert!(about(&policy, "Allow", "kms:Decrypt", "role/candado-key-custodian").is_empty());
    assert!(!about(&policy, "Deny", "kms:Decrypt", "role/candado-key-custodian").is_empty());
}

#[test]
fn a_proxy_cannot_open_the_audit_key() {
    for (name, role) in [("kms-key-policy.json", "role/candado-proxy"), ("proxy-iam-policy.json", "")] {
        assert!(!purposes(&policy(name), "kms:Decrypt", role).contains("audit"), "{name}");
    }
    let policy = policy("kms-key-policy.json");
    let denied = about(&policy, "Deny", "kms:Decrypt", "role/candado-proxy");
    assert!(denied.iter().any(|deny| deny["Condition"]["StringEquals"][PURPOSE] == "audit"));
    let others = about(&policy, "Deny", "kms:Decrypt", "role/somebody-else");
    assert!(others.iter().any(|deny| deny["Condition"]["ArnNotEquals"].is_object()), "everybody else is denied");
}

#[test]
fn every_use_of_the_key_is_bound_to_the_encryption_context() {
    let policy = policy("kms-key-policy.json");
    let uses = ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"];
    for statement in policy["Statement"].as_array().unwrap() {
        let allows = statement["Effect"] == "Allow";
        if allows && list(&statement["Action"]).iter().any(|action| uses.contains(action)) {
            let equals = &statement["Condition"]["StringEquals"];
            assert_eq!(equals["kms:EncryptionContext:app"], "candado", "{}", statement["Sid"]);
            assert!(equals["kms:EncryptionContext:deployment"].is_string(), "{}", statement["Sid"]);
        }
    }
}
