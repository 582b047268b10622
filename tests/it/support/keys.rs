//! A key store of a test's own, filled by the fake key service, with both accounts and both principals.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::collections::HashMap;
use std::sync::Arc;

use candado::control::{ControlError, InitReport, Initialisation, KeyStore};
use candado::keys::{AwsCredentials, AwsKms, AwsKmsAdmin, AwsKmsSettings, KekRef, ProviderKind};
use candado::policy::{
    Access, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn, Role, RoleId,
};
use candado::schema::ColumnRef;

use super::key_store::{PROXY, SECURITY, create, key_store};
use super::rotation::Rotation;
use super::server::{Kind, Server};
use crate::fakekms::{self, FakeKms};

/// A schema of the test's own, and a key service with one key.
pub(crate) struct Setup {
    pub(crate) server: &'static Server,
    pub(crate) schema: String,
    pub(crate) fake: FakeKms,
    pub(crate) kek: KekRef,
    pub(crate) admin: Arc<AwsKmsAdmin>,
    /// Opens the audit key for the security team, and no other.
    pub(crate) opener: Arc<AwsKms>,
    /// Another key-encryption key of the same service.
    pub(crate) second: KekRef,
    pub(crate) unwrapper: Arc<AwsKms>,
}

impl Setup {
    pub(crate) async fn new(kind: Kind) -> Self {
        let server = Server::of_key_stores(kind);
        let fake = FakeKms::start();
        fake.allow_role("PROXY", fakekms::Role::Proxy);
        fake.allow_role("SECURITY", fakekms::Role::Security);
        let (arn, second) = (fake.create_key(), fake.create_key());
        let settings = |principal: &str| AwsKmsSettings {
            kek_arns: vec![arn.clone(), second.clone()],
            endpoint: Some(fake.endpoint()),
            credentials: AwsCredentials::Static {
                access_key_id: principal.to_owned(),
                secret_access_key: "not checked".to_owned().into(),
            },
        };
        let admin = Arc::new(AwsKmsAdmin::new(settings("SECURITY")).await.unwrap());
        let opener = Arc::new(AwsKms::new(settings("SECURITY")).await.unwrap());
        let unwrapper = Arc::new(AwsKms::new(settings("PROXY")).await.unwrap());
        let kek = KekRef::new(ProviderKind::AwsKms, arn);
        let second = KekRef::new(ProviderKind::AwsKms, second);
        Self { server, schema: create(server), fake, kek, second, admin, opener, unwrapper }
    }

    pub(crate) fn proxy(&self) -> KeyStore {
        key_store(self.server, PROXY, &self.schema)
    }

    pub(crate) fn security(&self) -> KeyStore {
        key_store(self.server, SECURITY, &self.schema)
    }

    /// The steps of a rotation in this key store.
    pub(crate) fn rotation(&self) -> Rotation<'_> {
        Rotation { server: self.server, schema: &self.schema, admin: &*self.admin, kek: self.kek.clone() }
    }

    pub(crate) async fn init(&self, policy: &Policy) -> Result<InitReport, ControlError> {
        self.security().init(self.initialisation(policy)).await
    }

    /// What `keys init` works with under the security team's principal.
    pub(crate) fn initialisation<'a>(&'a self, policy: &'a Policy) -> Initialisation<'a> {
        Initialisation {
            policy,
            admin: &*self.admin,
            unwrapper: &*self.opener,
            kek: &self.kek,
            deployment: None,
            operator: "tester",
        }
    }
}

/// A policy with one column for each keyset; those with an index are marked by `true`.
pub(crate) fn policy(keysets: &[(&str, bool)]) -> Policy {
    policy_version(1, keysets)
}

/// The same, as a later version.
pub(crate) fn policy_version(version: u64, keysets: &[(&str, bool)]) -> Policy {
    let columns = keysets.iter().zip(0..).map(|((keyset, indexed), number)| ProtectedColumn {
        column: ColumnRef::new("shop", "customers", format!("c{number}")),
        keyset: (*keyset).into(),
        context: format!("shop.customers.c{number}").into(),
        logical: LogicalType::Varchar { chars_max: 20 },
        collation: None,
        index: indexed.then(|| IndexSpec { domain: "d".into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    });
    let roles = vec![Role { name: "app".into(), default_access: Access::Plain, columns: HashMap::new() }];
    Policy::new(version, columns.collect(), roles, vec![], RoleId(0), FirewallMode::Block)
}
