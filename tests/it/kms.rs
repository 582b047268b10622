//! The KMS provider against the project's own fake over HTTP: what each answer means for a key, and what is bound to
//! what. Every refusal stands beside the request that is allowed.
#![allow(clippy::unwrap_used, reason = "tests")]

use candado::crypto::{KeyId, KeyPurpose};
use candado::keys::{
    AwsCredentials, AwsKms, AwsKmsAdmin, AwsKmsSettings, AwsKmsSettingsError, EncryptionContext, KekAdmin,
    KekDescription, KekRef, KekRotation, KekStatus, KeyError, KeyProvider, ProviderKind, Unwrapper, WrappedKey,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::fakekms::{FakeKms, Fault, Role, State};

const PROXY: &str = "AKIAPROXY";
const SECURITY: &str = "AKIASECURITY";

/// A fake with one key, and both principals with what keys-policy/aws gives them.
struct Setup {
    fake: FakeKms,
    kek: KekRef,
    proxy: AwsKms,
    security: AwsKmsAdmin,
}

impl Setup {
    async fn new() -> Self {
        let fake = FakeKms::start();
        fake.allow_role(PROXY, Role::Proxy);
        fake.allow_role(SECURITY, Role::Security);
        let arn = fake.create_key();
        let proxy = provider(&fake, PROXY, &[&arn]).await;
        let security = admin(&fake, SECURITY, &[&arn]).await;
        Self { kek: kek(&arn), fake, proxy, security }
    }

    async fn wrap(&self) -> WrappedKey {
        self.security.generate_wrapped(&self.kek, &context(7)).await.unwrap()
    }
}

fn settings(fake: &FakeKms, principal: &str, arns: &[&str]) -> AwsKmsSettings {
    AwsKmsSettings {
        kek_arns: arns.iter().map(|arn| (*arn).to_owned()).collect(),
        endpoint: Some(fake.endpoint()),
        credentials: AwsCredentials::Static {
            access_key_id: principal.to_owned(),
            secret_access_key: Zeroizing::new("not checked".to_owned()),
        },
    }
}

async fn provider(fake: &FakeKms, principal: &str, arns: &[&str]) -> AwsKms {
    AwsKms::new(settings(fake, principal, arns)).await.unwrap()
}

async fn admin(fake: &FakeKms, principal: &str, arns: &[&str]) -> AwsKmsAdmin {
    AwsKmsAdmin::new(settings(fake, principal, arns)).await.unwrap()
}

fn described(status: KekStatus) -> KekDescription {
    KekDescription { status, rotation: KekRotation::Unknown, version: None }
}

fn kek(arn: &str) -> KekRef {
    KekRef::new(ProviderKind::AwsKms, arn)
}

fn context(kid: u32) -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(1),
        keyset: "contact".into(),
        purpose: KeyPurpose::Data,
        kid: KeyId::new(kid).unwrap(),
    }
}

fn kcv(secret: &candado::crypto::KeySecret) -> [u8; 16] {
    secret.kcv(KeyId::new(7).unwrap(), KeyPurpose::Data)
}

#[tokio::test]
async fn a_wrapped_key_opens_to_the_same_key_each_time() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    assert_eq!(wrapped.kek, setup.kek);
    let first = setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap();
    let second = setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap();
    assert_eq!(kcv(&first), kcv(&second));
    let other = setup.proxy.unwrap(&setup.wrap().await, &context(7)).await.unwrap();
    assert_ne!(kcv(&first), kcv(&other), "two keys differ");
    assert_eq!(setup.fake.calls("Decrypt"), 3, "one request for each unwrap");
}

#[tokio::test]
async fn each_part_of_the_context_binds() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    let others = [
        EncryptionContext { deployment: Uuid::from_u128(2), ..context(7) },
        EncryptionContext { keyset: "credentials".into(), ..context(7) },
        EncryptionContext { purpose: KeyPurpose::Index, ..context(7) },
        context(8),
    ];
    for other in others {
        assert_eq!(setup.proxy.unwrap(&wrapped, &other).await.unwrap_err(), KeyError::ContextMismatch, "{other:?}");
    }
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
}

#[tokio::test]
async fn a_changed_or_foreign_blob_does_not_open() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    let mut changed = wrapped.clone();
    *changed.blob.last_mut().unwrap() ^= 1;
    for blob in [changed.blob, vec![], b"garbage".to_vec()] {
        let broken = WrappedKey { blob, ..wrapped.clone() };
        assert_eq!(setup.proxy.unwrap(&broken, &context(7)).await.unwrap_err(), KeyError::ContextMismatch);
    }
}

#[tokio::test]
async fn the_key_id_is_pinned() {
    let setup = Setup::new().await;
    let second = setup.fake.create_key();
    let both = provider(&setup.fake, PROXY, &[&setup.kek.reference, &second]).await;
    let wrapped = setup.wrap().await;
    // The key store says that another key made the wrap: KMS compares.
    let relabelled = WrappedKey { kek: kek(&second), ..wrapped.clone() };
    assert_eq!(both.unwrap(&relabelled, &context(7)).await.unwrap_err(), KeyError::ContextMismatch);
    assert!(both.unwrap(&wrapped, &context(7)).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_not_configured_is_never_asked_for() {
    let setup = Setup::new().await;
    let foreign = setup.fake.create_key();
    let wrapped = WrappedKey { kek: kek(&foreign), ..setup.wrap().await };
    assert_eq!(setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::ContextMismatch);
    assert_eq!(setup.proxy.describe(&kek(&foreign)).await, Err(KeyError::ContextMismatch));
    assert_eq!(setup.fake.calls_on(&foreign), 0);
}

#[tokio::test]
async fn the_proxy_cannot_make_keys_and_the_security_team_cannot_open_them() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    // The objects lack the methods; and whoever builds the other half with the principal is refused by the service.
    let proxy = admin(&setup.fake, PROXY, &[&setup.kek.reference]).await;
    assert_eq!(proxy.generate_wrapped(&setup.kek, &context(7)).await, Err(KeyError::Denied));
    assert_eq!(proxy.rewrap(&wrapped, &setup.kek, &context(7)).await, Err(KeyError::Denied));
    assert_eq!(proxy.rotate_kek(&setup.kek).await, Err(KeyError::Denied));
    let security = provider(&setup.fake, SECURITY, &[&setup.kek.reference]).await;
    assert_eq!(security.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Denied);
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    let nobody = provider(&setup.fake, "AKIANOBODY", &[&setup.kek.reference]).await;
    assert_eq!(nobody.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Denied);
}

#[tokio::test]
async fn the_audit_key_opens_for_the_security_team_and_no_other_key_does() {
    let setup = Setup::new().await;
    let opener = provider(&setup.fake, SECURITY, &[&setup.kek.reference]).await;
    let audit = |kid| EncryptionContext { keyset: "candado".into(), purpose: KeyPurpose::Audit, ..context(kid) };
    let wrapped = setup.security.generate_wrapped(&setup.kek, &audit(9)).await.unwrap();
    assert!(opener.unwrap(&wrapped, &audit(9)).await.is_ok());
    assert_eq!(setup.proxy.unwrap(&wrapped, &audit(9)).await.unwrap_err(), KeyError::Denied, "nor may the proxy forge");
    for purpose in [KeyPurpose::Data, KeyPurpose::Index, KeyPurpose::Subject] {
        let context = EncryptionContext { purpose, ..context(7) };
        let wrapped = setup.security.generate_wrapped(&setup.kek, &context).await.unwrap();
        assert_eq!(opener.unwrap(&wrapped, &context).await.unwrap_err(), KeyError::Denied, "{purpose}");
        // Nor by calling it an audit key: the wrap is bound to its purpose.
        let renamed = EncryptionContext { purpose: KeyPurpose::Audit, ..context.clone() };
        assert_eq!(opener.unwrap(&wrapped, &renamed).await.unwrap_err(), KeyError::ContextMismatch, "{purpose}");
        assert!(setup.security.rewrap(&wrapped, &setup.kek, &context).await.is_ok(), "{purpose}");
    }
    // Nor by making it one: the audit key alone is not rewrapped by who may open it, else a data key could be rewrapped
    // into an audit key's context. The custodian rewraps it, who can open nothing.
    assert_eq!(setup.security.rewrap(&wrapped, &setup.kek, &audit(9)).await, Err(KeyError::Denied));
    setup.fake.allow_role("AKIACUSTODIAN", Role::Custodian);
    let custodian = admin(&setup.fake, "AKIACUSTODIAN", &[&setup.kek.reference]).await;
    let opening = provider(&setup.fake, "AKIACUSTODIAN", &[&setup.kek.reference]).await;
    let rewrapped = custodian.rewrap(&wrapped, &setup.kek, &audit(9)).await.unwrap();
    assert!(opener.unwrap(&rewrapped, &audit(9)).await.is_ok());
    assert_eq!(opening.unwrap(&rewrapped, &audit(9)).await.unwrap_err(), KeyError::Denied);
    assert_eq!(custodian.rewrap(&setup.wrap().await, &setup.kek, &context(7)).await, Err(KeyError::Denied));
}

#[tokio::test]
async fn a_key_is_not_rewrapped_into_another_context() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    let body = |to: &str| {
        let context = |purpose: &str| {
            let bound = context(7);
            let pairs = bound.pairs().map(|(name, value)| (name.to_owned(), value.into()));
            let mut pairs: serde_json::Map<String, serde_json::Value> = pairs.collect();
            pairs.insert("purpose".to_owned(), purpose.into());
            pairs
        };
        let blob = data_encoding::BASE64.encode(&wrapped.blob);
        serde_json::json!({
            "CiphertextBlob": blob, "SourceKeyId": &*setup.kek.reference, "DestinationKeyId": &*setup.kek.reference,
            "SourceEncryptionContext": context("data"), "DestinationEncryptionContext": context(to),
        })
    };
    let status = async |to: &str| setup.fake.ask(SECURITY, "ReEncrypt", &body(to)).await.0;
    assert_eq!(status("data").await, 200);
    assert_eq!(status("audit").await, 400, "with it, whoever opens audit keys would open any key");
}

#[tokio::test]
async fn the_state_of_the_key_decides() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    for (state, error, status) in [
        (State::Disabled, KeyError::Disabled, KekStatus::Disabled),
        (State::PendingDeletion, KeyError::PendingDeletion, KekStatus::PendingDeletion),
    ] {
        setup.fake.set_state(&setup.kek.reference, state);
        let before = setup.fake.calls("Decrypt");
        assert_eq!(setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), error);
        assert_eq!(setup.fake.calls("Decrypt"), before + 1, "a definitive answer is not asked for again");
        assert!(error.definitive());
        assert_eq!(setup.security.generate_wrapped(&setup.kek, &context(7)).await, Err(error.clone()));
        assert_eq!(setup.security.rotate_kek(&setup.kek).await, Err(error));
        assert_eq!(setup.proxy.describe(&setup.kek).await, Ok(described(status)));
    }
    setup.fake.set_state(&setup.kek.reference, State::Enabled);
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    assert_eq!(setup.proxy.describe(&setup.kek).await, Ok(described(KekStatus::Enabled)));
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_not_found() {
    let setup = Setup::new().await;
    let gone = "arn:aws:kms:eu-central-1:111122223333:key/gone";
    let security = admin(&setup.fake, SECURITY, &[gone]).await;
    assert_eq!(security.generate_wrapped(&kek(gone), &context(7)).await, Err(KeyError::NotFound));
    assert_eq!(security.describe(&kek(gone)).await, Err(KeyError::NotFound));
}

#[tokio::test]
async fn rotation_and_rewrap_keep_the_key() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    let before = kcv(&setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap());
    assert_eq!(setup.security.rotate_kek(&setup.kek).await, Ok(()));
    assert_eq!(setup.fake.calls("RotateKeyOnDemand"), 1);
    let rewrapped = setup.security.rewrap(&wrapped, &setup.kek, &context(7)).await.unwrap();
    assert_ne!(rewrapped.blob, wrapped.blob);
    for blob in [&wrapped, &rewrapped] {
        assert_eq!(kcv(&setup.proxy.unwrap(blob, &context(7)).await.unwrap()), before);
    }
    let error = setup.security.rewrap(&wrapped, &setup.kek, &context(8)).await.unwrap_err();
    assert_eq!(error, KeyError::ContextMismatch);
}

#[tokio::test]
async fn what_is_known_of_rotation_depends_on_who_asks() {
    let setup = Setup::new().await;
    let known = |rotation| Ok(KekDescription { status: KekStatus::Enabled, rotation, version: None });
    assert_eq!(setup.security.describe(&setup.kek).await, known(KekRotation::OnDemand));
    setup.fake.rotate_every(&setup.kek.reference, 365);
    let automatic = KekRotation::Automatic { period_days: Some(365) };
    assert_eq!(setup.security.describe(&setup.kek).await, known(automatic));
    assert_eq!(setup.proxy.describe(&setup.kek).await, known(KekRotation::Unknown));
    let curious = admin(&setup.fake, PROXY, &[&setup.kek.reference]).await;
    assert_eq!(curious.describe(&setup.kek).await, known(KekRotation::Unknown), "a refusal is no failure");
}

#[tokio::test]
async fn short_trouble_is_survived_by_trying_again() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    setup.fake.fail_next(&[Fault::Throttle, Fault::Internal]);
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    assert_eq!(setup.fake.calls("Decrypt"), 3);
}

#[tokio::test]
async fn lasting_trouble_has_its_class_after_three_attempts() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    for (fault, error) in [
        (Fault::Throttle, KeyError::Throttled),
        (Fault::Internal, KeyError::Unavailable),
        (Fault::DependencyTimeout, KeyError::Unavailable),
        (Fault::KeyUnavailable, KeyError::Unavailable),
        (Fault::Html502, KeyError::Unavailable),
    ] {
        setup.fake.fail_always(Some(fault));
        let before = setup.fake.calls("Decrypt");
        assert_eq!(setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), error, "{fault:?}");
        assert_eq!(setup.fake.calls("Decrypt"), before + 3, "{fault:?}");
        assert!(error.retryable());
    }
    setup.fake.fail_always(None);
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
}

#[tokio::test]
async fn no_answer_is_a_timeout() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    setup.fake.fail_always(Some(Fault::Hang));
    assert_eq!(setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Timeout);
    setup.fake.fail_always(None);
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
}

#[tokio::test]
async fn a_closed_port_is_an_outage_that_ends() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    setup.fake.go_down();
    assert_eq!(setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Unavailable);
    setup.fake.come_up();
    assert!(setup.proxy.unwrap(&wrapped, &context(7)).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_neither_an_outage_nor_a_revocation() {
    let setup = Setup::new().await;
    let wrapped = setup.wrap().await;
    setup.fake.fail_always(Some(Fault::Garbage));
    let error = setup.proxy.unwrap(&wrapped, &context(7)).await.unwrap_err();
    assert!(!error.retryable() && !error.definitive(), "{error:?}");
}

#[tokio::test]
async fn settings_that_could_leak_or_drift_are_refused() {
    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0000";
    let new = async |arns: &[&str], endpoint: &str| {
        AwsKms::new(AwsKmsSettings {
            kek_arns: arns.iter().map(|arn| (*arn).to_owned()).collect(),
            endpoint: Some(endpoint.to_owned()),
            credentials: AwsCredentials::Static {
                access_key_id: PROXY.to_owned(),
                secret_access_key: Zeroizing::new("canary".to_owned()),
            },
        })
        .await
    };
    let local = "http://127.0.0.1:1";
    assert_eq!(new(&[], local).await.unwrap_err(), AwsKmsSettingsError::NoKek);
    let alias = "arn:aws:kms:eu-central-1:111122223333:alias/candado";
    assert_eq!(new(&[ARN, alias], local).await.unwrap_err(), AwsKmsSettingsError::NotAnArn(alias.into()));
    assert_eq!(new(&[ARN], "http://kms.example").await.unwrap_err(), AwsKmsSettingsError::PlainEndpoint);
    let provider = new(&[ARN], local).await.unwrap();
    assert_eq!(format!("{provider:?}"), format!("AwsKms {{ keks: [{ARN:?}] }}"), "and no secret");
}
