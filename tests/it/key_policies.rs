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
            everybody || principal["AWS"].as_str().unwrap().ends_with(role)
        })
        .flat_map(|statement| list(&statement["Action"]))
        .collect()
}

#[test]
fn every_policy_is_well_formed() {
    for name in ["kms-key-policy.json", "proxy-iam-policy.json", "security-iam-policy.json"] {
        let policy = policy(name);
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sids.insert(sid) && sid.chars().all(char::is_alphanumeric), "{name}: {sid}");
            assert!(["Allow", "Deny"].contains(&statement["Effect"].as_str().unwrap()), "{name}: {sid}");
            assert!(list(&statement["Action"]).iter().all(|action| action.starts_with("kms:")), "{name}: {sid}");
            assert!(!list(&statement["Action"]).contains(&"kms:*"), "{name}: {sid}");
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

#[test]
fn the_security_team_never_sees_a_plaintext_key() {
    let plaintext = ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:Encrypt"];
    for (name, role) in [("kms-key-policy.json", "role/candado-security"), ("security-iam-policy.json", "")] {
        let policy = policy(name);
        let allowed = actions(&policy, "Allow", role);
        let needed = ["GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "DescribeKey"];
        let for_the_kek = ["GetKeyRotationStatus", "RotateKeyOnDemand", "DisableKey"];
        for action in needed.iter().chain(&for_the_kek) {
            assert!(allowed.contains(format!("kms:{action}").as_str()), "{name}: {action}");
        }
        assert!(plaintext.iter().all(|action| !allowed.contains(action)), "{name}: {allowed:?}");
        assert!(plaintext.iter().all(|action| actions(&policy, "Deny", role).contains(action)), "{name}");
    }
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
