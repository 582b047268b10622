//! Vault as key provider, against the project's own fake over HTTP: what each answer means for a key, what is bound to
//! what, and the whole program with it. Every refusal stands beside the request that is allowed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::Arc;

use candado::crypto::{KeyId, KeyPurpose, KeySecret};
use candado::keys::{
    EncryptionContext, KekAdmin, KekDescription, KekRef, KekRotation, KekStatus, KeyError, KeyProvider, ProviderKind,
    SecretText, Unwrapper, Vault, VaultAdmin, VaultSettings, VaultToken, WrappedKey,
};
use uuid::Uuid;

use crate::fakevault::{Contexts, Derived, FakeVault, Fault};
use crate::support::block_on;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls, wait_until};
use crate::support::server::{Kind, Server};
use crate::support::shop::{Answer, Shop, Who, policy, text};

const PROXY: &str = "hvs.proxy";
const SECURITY: &str = "hvs.security";
const PROXY_MAY: [&str; 2] = ["transit/decrypt/candado", "transit/keys/candado"];
const SECURITY_MAY: [&str; 5] = [
    "transit/datakey/wrapped/candado",
    "transit/decrypt/candado",
    "transit/keys/candado",
    "transit/keys/candado/rotate",
    "transit/rewrap/candado",
];

struct Setup {
    fake: FakeVault,
    kek: KekRef,
    proxy: Vault,
    security: VaultAdmin,
}

impl Setup {
    fn new() -> Self {
        Self::with(Derived::Yes)
    }

    fn with(derived: Derived) -> Self {
        let fake = FakeVault::start();
        fake.create_key("candado", derived);
        fake.allow(PROXY, &PROXY_MAY);
        fake.allow(SECURITY, &SECURITY_MAY);
        fake.limit(PROXY, "transit/decrypt/candado", Contexts::Never(audit_beginning(Uuid::from_u128(1))));
        fake.limit(SECURITY, "transit/decrypt/candado", Contexts::Only(audit_beginning(Uuid::from_u128(1))));
        let proxy = Vault::new(settings(&fake, PROXY)).unwrap();
        let security = VaultAdmin::new(settings(&fake, SECURITY)).unwrap();
        Self { fake, kek: KekRef::new(ProviderKind::Vault, "transit/candado"), proxy, security }
    }

    async fn wrap(&self) -> WrappedKey {
        self.security.generate_wrapped(&self.kek, &context(7)).await.unwrap()
    }

    async fn refused(&self, wrapped: &WrappedKey) -> KeyError {
        self.proxy.unwrap(wrapped, &context(7)).await.map(drop).unwrap_err()
    }

    async fn opens(&self, wrapped: &WrappedKey) -> [u8; 16] {
        kcv(&self.proxy.unwrap(wrapped, &context(7)).await.unwrap())
    }
}

fn settings(fake: &FakeVault, token: &str) -> VaultSettings {
    VaultSettings {
        address: fake.address(),
        mount: "transit".into(),
        key: "candado".into(),
        token: VaultToken::Text(Arc::new(SecretText::new(token.to_owned()))),
        ca_file: None,
    }
}

fn context(kid: u32) -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(1),
        keyset: "contact".into(),
        purpose: KeyPurpose::Data,
        kid: KeyId::new(kid).unwrap(),
    }
}

fn kcv(secret: &KeySecret) -> [u8; 16] {
    secret.kcv(KeyId::new(7).unwrap(), KeyPurpose::Data)
}

#[tokio::test]
async fn a_wrapped_key_opens_in_its_context_alone() {
    let setup = Setup::new();
    let wrapped = setup.wrap().await;
    assert_eq!(wrapped.kek, setup.kek);
    let value = setup.opens(&wrapped).await;
    assert_eq!(setup.opens(&wrapped).await, value);
    assert_ne!(setup.opens(&setup.wrap().await).await, value, "two keys differ");
    let others = [
        EncryptionContext { deployment: Uuid::from_u128(2), ..context(7) },
        EncryptionContext { keyset: "credentials".into(), ..context(7) },
        EncryptionContext { purpose: KeyPurpose::Index, ..context(7) },
        context(8),
    ];
    for other in others {
        assert_eq!(setup.proxy.unwrap(&wrapped, &other).await.unwrap_err(), KeyError::ContextMismatch, "{other:?}");
        let moved = setup.security.rewrap(&wrapped, &setup.kek, &other).await;
        assert_eq!(moved, Err(KeyError::ContextMismatch), "{other:?}");
    }
    let mut blobs = vec![vec![], b"garbage".to_vec(), b"vault:v1:".to_vec(), b"vault:v9:AAAA".to_vec()];
    blobs.push({
        let mut changed = wrapped.blob.clone();
        let middle = changed.len() / 2;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        changed
    });
    for blob in blobs {
        assert_eq!(setup.refused(&WrappedKey { blob, ..wrapped.clone() }).await, KeyError::ContextMismatch);
    }
}

#[tokio::test]
async fn a_key_that_binds_no_context_is_not_used() {
    let setup = Setup::with(Derived::No);
    let refused = KeyError::Protocol("the transit key was not made with derived=true".into());
    assert_eq!(setup.security.generate_wrapped(&setup.kek, &context(7)).await, Err(refused.clone()));
    assert_eq!(setup.fake.calls(SECURITY, "transit/datakey/wrapped/candado"), 0);
    let wrapped = WrappedKey { kek: setup.kek.clone(), blob: b"vault:v1:AAAA".to_vec() };
    assert_eq!(setup.refused(&wrapped).await, refused);
    assert_eq!(setup.fake.calls(PROXY, "transit/decrypt/candado"), 0);
    assert!(!refused.definitive(), "a wrong set-up wipes no keys");
}

#[tokio::test]
async fn the_proxys_token_cannot_make_keys_and_the_security_teams_cannot_open_them() {
    let setup = Setup::new();
    let wrapped = setup.wrap().await;
    let admin = VaultAdmin::new(settings(&setup.fake, PROXY)).unwrap();
    assert_eq!(admin.generate_wrapped(&setup.kek, &context(7)).await, Err(KeyError::Denied));
    assert_eq!(admin.rewrap(&wrapped, &setup.kek, &context(7)).await, Err(KeyError::Denied));
    assert_eq!(admin.rotate_kek(&setup.kek).await, Err(KeyError::Denied));
    for token in [SECURITY, "hvs.nobody"] {
        let other = Vault::new(settings(&setup.fake, token)).unwrap();
        assert_eq!(other.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Denied, "{token}");
    }
    setup.opens(&wrapped).await;
}

#[tokio::test]
async fn a_key_that_is_not_configured_is_never_asked_for() {
    let setup = Setup::new();
    let wrapped = setup.wrap().await;
    setup.fake.create_key("other", Derived::Yes);
    for kek in [
        KekRef::new(ProviderKind::Vault, "transit/other"),
        KekRef::new(ProviderKind::Vault, "candado"),
        KekRef::new(ProviderKind::AwsKms, "transit/candado"),
    ] {
        assert_eq!(setup.refused(&WrappedKey { kek: kek.clone(), ..wrapped.clone() }).await, KeyError::ContextMismatch);
        assert_eq!(setup.proxy.describe(&kek).await, Err(KeyError::ContextMismatch));
        assert_eq!(setup.security.rotate_kek(&kek).await, Err(KeyError::ContextMismatch));
        assert_eq!(setup.security.rewrap(&wrapped, &kek, &context(7)).await, Err(KeyError::ContextMismatch));
    }
    assert_eq!(setup.fake.paths(PROXY), Vec::<String>::new());
}

#[tokio::test]
async fn rotation_and_rewrap_keep_the_key_and_old_versions_can_be_put_out_of_use() {
    let setup = Setup::new();
    let old = setup.wrap().await;
    let value = setup.opens(&old).await;
    let known = |rotation, version| Ok(KekDescription { status: KekStatus::Enabled, rotation, version: Some(version) });
    assert_eq!(setup.security.describe(&setup.kek).await, known(KekRotation::OnDemand, 1));
    assert_eq!(setup.security.rotate_kek(&setup.kek).await, Ok(()));
    let new = setup.security.rewrap(&old, &setup.kek, &context(7)).await.unwrap();
    assert!(new.blob.starts_with(b"vault:v2:"));
    assert_eq!((setup.opens(&old).await, setup.opens(&new).await), (value, value));
    setup.fake.rotate_every("candado", 30 * 86_400);
    assert_eq!(setup.proxy.describe(&setup.kek).await, known(KekRotation::Automatic { period_days: Some(30) }, 2));
    setup.fake.min_decryption_version("candado", 2);
    assert_eq!(setup.refused(&old).await, KeyError::Disabled);
    assert_eq!(setup.opens(&new).await, value);
}

#[tokio::test]
async fn trouble_has_its_class() {
    let setup = Setup::new();
    let wrapped = setup.wrap().await;
    for (fault, error) in [
        (Fault::RateLimit, KeyError::Throttled),
        (Fault::Internal, KeyError::Unavailable),
        (Fault::Html502, KeyError::Unavailable),
        (Fault::Behind, KeyError::Unavailable),
        (Fault::Close, KeyError::Unavailable),
        (Fault::Hang, KeyError::Timeout),
    ] {
        setup.fake.fail_always(Some(fault));
        assert_eq!(setup.refused(&wrapped).await, error, "{fault:?}");
        assert!(error.retryable());
    }
    setup.fake.fail_always(None);
    setup.fake.seal(true);
    assert_eq!(setup.refused(&wrapped).await, KeyError::Unavailable, "sealed");
    setup.fake.seal(false);
    setup.opens(&wrapped).await;
    for fault in [Fault::Garbage, Fault::Empty] {
        setup.fake.fail_always(Some(fault));
        let error = setup.refused(&wrapped).await;
        assert!(!error.retryable() && !error.definitive(), "{fault:?}: {error}");
    }
    let gone = VaultSettings { key: "gone".into(), ..settings(&setup.fake, PROXY) };
    setup.fake.fail_always(None);
    setup.fake.allow(PROXY, &["transit/keys/gone"]);
    let kek = KekRef::new(ProviderKind::Vault, "transit/gone");
    assert_eq!(Vault::new(gone).unwrap().describe(&kek).await, Err(KeyError::NotFound));
    let closed = VaultSettings { address: "http://127.0.0.1:1".into(), ..settings(&setup.fake, PROXY) };
    let error = Vault::new(closed).unwrap().unwrap(&wrapped, &context(7)).await.unwrap_err();
    assert_eq!(error, KeyError::Unavailable);
}

#[tokio::test]
async fn a_token_that_is_refused_is_read_again_once() {
    let setup = Setup::new();
    let wrapped = setup.wrap().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), PROXY).unwrap();
    let token = VaultToken::File(file.path().to_owned());
    let proxy = Vault::new(VaultSettings { token, ..settings(&setup.fake, PROXY) }).unwrap();
    assert!(proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    let before = setup.fake.calls(PROXY, "transit/decrypt/candado");
    // Revoked, and nobody has written another one: one request, one answer.
    setup.fake.revoke(PROXY);
    assert_eq!(proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Denied);
    assert_eq!(setup.fake.calls(PROXY, "transit/decrypt/candado"), before + 1);
    // A new one is taken without a restart, and a file that cannot be read changes nothing.
    setup.fake.allow("hvs.renewed", &PROXY_MAY);
    fs::write(file.path(), "hvs.renewed\n").unwrap();
    assert!(proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    fs::remove_file(file.path()).unwrap();
    assert!(proxy.unwrap(&wrapped, &context(7)).await.is_ok());
    setup.fake.revoke("hvs.renewed");
    assert_eq!(proxy.unwrap(&wrapped, &context(7)).await.unwrap_err(), KeyError::Denied);
}

#[tokio::test]
async fn only_the_configured_authority_is_believed() {
    let server = Server::start(Kind::MySql);
    let beside = server.ca.parent().unwrap();
    let fake = FakeVault::start_tls(&beside.join("server-cert.pem"), &beside.join("server-key.pem"));
    fake.create_key("candado", Derived::Yes);
    fake.allow(SECURITY, &SECURITY_MAY);
    let kek = KekRef::new(ProviderKind::Vault, "transit/candado");
    let over = |ca: &std::path::Path| VaultSettings { ca_file: Some(ca.to_owned()), ..settings(&fake, SECURITY) };
    let admin = VaultAdmin::new(over(&server.ca)).unwrap();
    assert!(admin.generate_wrapped(&kek, &context(7)).await.is_ok());
    // A certificate that did not sign the server's.
    let admin = VaultAdmin::new(over(&beside.join("server-cert.pem"))).unwrap();
    assert_eq!(admin.generate_wrapped(&kek, &context(7)).await, Err(KeyError::Unavailable));
    assert!(VaultAdmin::new(over(&beside.join("missing.pem"))).is_err());
}

/// Paths with that capability in a policy of keys-policy/vault, in ascending order.
fn paths(name: &str, capability: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/vault").join(name);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("path \"").skip(1).map(|block| block.split_once('"').unwrap());
    let with = blocks.filter(|(_, rights)| rights.contains(&format!("\"{capability}\"")));
    let mut paths: Vec<String> = with.map(|(path, _)| path.to_owned()).collect();
    paths.sort();
    paths
}

#[test]
fn the_shipped_policies_give_what_is_needed_and_no_more() {
    assert_eq!([paths("proxy.hcl", "update"), paths("proxy.hcl", "read")].concat(), PROXY_MAY);
    let mut security = [paths("security.hcl", "update"), paths("security.hcl", "read")].concat();
    security.sort();
    assert_eq!(security, SECURITY_MAY);
    let denied = paths("security.hcl", "deny");
    for plaintext in ["transit/datakey/plaintext/candado", "transit/export/+/candado"] {
        assert!(denied.iter().any(|path| path == plaintext), "{plaintext}");
    }
    assert_eq!([paths("auditor.hcl", "update"), paths("auditor.hcl", "read")].concat(), PROXY_MAY);
    // The shipped deployment is a placeholder.
    let deployment = Uuid::parse_str("00000000-0000-4000-8000-000000000000").unwrap();
    let beginning = format!("\"context\" = [\"{}*\"]", audit_beginning(deployment));
    for (name, list) in [("proxy.hcl", "denied"), ("security.hcl", "allowed"), ("auditor.hcl", "allowed")] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/vault").join(name);
        let text = fs::read_to_string(path).unwrap();
        let block = text.split("path \"").find(|block| block.starts_with("transit/decrypt/candado")).unwrap();
        assert!(block.contains(&format!("{list}_parameters")) && block.contains(&beginning), "{name}");
    }
}

/// The beginning of every context of a deployment's audit keys, as a policy names it.
fn audit_beginning(deployment: Uuid) -> String {
    let kid = KeyId::new(1).unwrap();
    let context = EncryptionContext { deployment, keyset: "candado".into(), purpose: KeyPurpose::Audit, kid };
    let canonical = context.canonical();
    let kid_at = canonical.windows(3).position(|window| window == b"kid").unwrap() - 8;
    assert_eq!(kid_at % 3, 0, "a whole number of base64 groups");
    data_encoding::BASE64.encode(&canonical[..kid_at])
}

#[tokio::test]
async fn the_audit_key_opens_for_the_security_team_and_no_other_key_does() {
    let setup = Setup::new();
    let keeper = Vault::new(settings(&setup.fake, SECURITY)).unwrap();
    let audit = EncryptionContext { keyset: "candado".into(), purpose: KeyPurpose::Audit, ..context(9) };
    let wrapped = setup.security.generate_wrapped(&setup.kek, &audit).await.unwrap();
    assert!(keeper.unwrap(&wrapped, &audit).await.is_ok());
    assert_eq!(setup.proxy.unwrap(&wrapped, &audit).await.unwrap_err(), KeyError::Denied);
    let data = setup.wrap().await;
    assert_eq!(keeper.unwrap(&data, &context(7)).await.unwrap_err(), KeyError::Denied);
    assert!(keeper.unwrap(&data, &audit).await.is_err(), "nor under another name");
    setup.opens(&data).await;
}

/// `keys init` and `serve` with Vault: what a client writes is read back, each half asks for its own paths only, and no
/// key, in no spelling, is in the most talkative log.
#[test]
fn the_program_works_with_vault() {
    let fake = FakeVault::start();
    fake.create_key("candado", Derived::Yes);
    fake.allow("AKIAPROXY", &PROXY_MAY);
    fake.allow("AKIASECURITY", &SECURITY_MAY);
    let deployment = Deployment::own(Kind::MySql, &[], Provider::Vault { address: fake.address() });
    assert_eq!(
        fake.paths("AKIASECURITY"),
        ["transit/datakey/wrapped/candado", "transit/decrypt/candado", "transit/keys/candado"]
    );
    block_on(async {
        let shop = Shop::open_on(&deployment, Tls::Off);
        let mut conn = shop.connect(Who::Application).await;
        let written = text(&mut conn, "INSERT INTO customers (id, code, note) VALUES (1, 'c1', 'secret')").await;
        assert!(matches!(written, Answer::Done { .. }), "{written:?}");
        let read = text(&mut conn, "SELECT note FROM customers WHERE code = 'c1'").await;
        assert_eq!(read.cells(), [[Some("secret".to_owned())]]);
        shop.assert_sealed();
        assert_eq!(fake.paths("AKIAPROXY"), PROXY_MAY, "the proxy decrypts and nothing else");
        let made = fake.made();
        assert!(made.len() >= 2, "a data and an index key");
        let log = shop.proxy.log().to_lowercase();
        for key in made {
            for spelling in [data_encoding::HEXLOWER.encode(&key), data_encoding::BASE64.encode(&key).to_lowercase()] {
                assert!(!log.contains(&spelling), "a key is in the log");
            }
        }
        for token in ["akiaproxy", "vault:v1:"] {
            assert!(!log.contains(token), "{token} is in the log");
        }
    });
}

#[test]
fn a_proxy_is_ready_only_as_long_as_vault_lets_it() {
    let fake = FakeVault::start();
    fake.create_key("candado", Derived::Yes);
    fake.allow("AKIAPROXY", &PROXY_MAY);
    fake.allow("AKIASECURITY", &SECURITY_MAY);
    let deployment = Deployment::own(Kind::MariaDb, &[], Provider::Vault { address: fake.address() });
    let database = deployment.server.database("vault");
    // Refused: sealed, an old version out of use, and a token that may nothing.
    fake.seal(true);
    let proxy = Proxy::start_unready(&deployment, &policy(&database), Tls::Off);
    let unready = |what: &str, text: &str| {
        wait_until(what, || {
            proxy.events().iter().any(|event| event["cause"].as_str().is_some_and(|c| c.contains(text)))
        });
        assert_eq!(proxy.probe("/readyz").0, 503, "{what}");
    };
    unready("a sealed Vault", "unavailable");
    fake.min_decryption_version("candado", 2);
    fake.seal(false);
    unready("a version out of use", "disabled");
    fake.allow("AKIAPROXY", &[]);
    unready("a token without rights", "denies access");
    // Allowed, in the same process.
    fake.allow("AKIAPROXY", &PROXY_MAY);
    fake.min_decryption_version("candado", 1);
    proxy.wait_ready();
}
