//! Names, states and the encryption context.

use expect_test::expect;

use super::*;

fn context() -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(0x0b7e_7c2e_5a0f_4f0e_9a55_7a1f_6a1f_0c11),
        keyset: Arc::from("contact"),
        purpose: KeyPurpose::Data,
        kid: KeyId::new(7).unwrap(),
    }
}

#[test]
fn the_context_consists_of_these_pairs_in_this_order() {
    let pairs: Vec<_> = context().pairs().map(|(name, value)| format!("{name}={value}")).collect();
    expect!["app=candado deployment=0b7e7c2e-5a0f-4f0e-9a55-7a1f6a1f0c11 keyset=contact kid=7 purpose=data"]
        .assert_eq(&pairs.join(" "));
}

#[test]
fn the_canonical_form_cannot_be_reached_by_moving_bytes_between_fields() {
    let canonical = context().canonical();
    assert!(canonical.starts_with(b"\0\0\0\0\0\0\0\x03app\0\0\0\0\0\0\0\x07candado"));
    assert!(canonical.ends_with(b"\0\0\0\0\0\0\0\x07purpose\0\0\0\0\0\0\0\x04data"));
    let moved = EncryptionContext { keyset: Arc::from("contactkid"), ..context() };
    assert_ne!(moved.canonical(), canonical);
}

#[test]
fn states_allow_what_the_table_says() {
    let rights = KeyState::ALL.map(|state| (state.name(), state.may_encrypt(), state.may_decrypt()));
    assert_eq!(
        rights,
        [
            ("pending", false, true),
            ("active", true, true),
            ("decrypt_only", false, true),
            ("suspended", false, false),
            ("retired", false, false),
            ("destroyed", false, false),
        ]
    );
}

#[test]
fn names_are_read_back() {
    for state in KeyState::ALL {
        assert_eq!(KeyState::from_name(state.name()), Some(state));
    }
    assert_eq!(KeyState::from_name("ACTIVE"), None);
    assert_eq!(ProviderKind::from_name("aws-kms"), Some(ProviderKind::AwsKms));
    assert_eq!(ProviderKind::from_name("vault"), Some(ProviderKind::Vault));
    assert_eq!(ProviderKind::from_name("Vault"), None);
    assert_eq!(KeyPurpose::from_name("index"), Some(KeyPurpose::Index));
    assert_eq!(KeyPurpose::from_name(""), None);
}
