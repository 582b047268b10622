//! The steps of a rotation, as administrator of the database and of the key provider.
#![allow(clippy::unwrap_used, reason = "test support")]

use candado::crypto::{KeyId, KeyPurpose};
use candado::keys::{EncryptionContext, KekAdmin, KekRef};

use super::proxy::wait_until;
use super::server::Server;

/// A key store with what makes keys for it.
pub(crate) struct Rotation<'a> {
    pub(crate) server: &'a Server,
    pub(crate) schema: &'a str,
    pub(crate) admin: &'a dyn KekAdmin,
    pub(crate) kek: KekRef,
}

impl Rotation<'_> {
    /// Makes a key that is pending, and raises the epoch.
    pub(crate) async fn create(&self, keyset: &str, purpose: KeyPurpose) -> KeyId {
        let (schema, purpose_name) = (self.schema, purpose.name());
        let text = self.server.sql(&format!(
            "INSERT INTO {schema}.data_key (keyset_id, purpose, version, state, created_at) \
             SELECT k.keyset_id, k.purpose, MAX(k.version) + 1, 'pending', UTC_TIMESTAMP(6) \
             FROM {schema}.data_key k JOIN {schema}.keyset s USING (keyset_id) \
             WHERE s.name = '{keyset}' AND k.purpose = '{purpose_name}' GROUP BY k.keyset_id, k.purpose; \
             SELECT LAST_INSERT_ID(), deployment FROM {schema}.epoch"
        ));
        let (kid, deployment) = text.trim_end().split_once('\t').unwrap();
        let kid = KeyId::new(kid.parse().unwrap()).unwrap();
        let deployment = deployment.parse().unwrap();
        let context = EncryptionContext { deployment, keyset: keyset.into(), purpose, kid };
        let wrapped = self.admin.generate_wrapped(&self.kek, &context).await.unwrap();
        self.server.sql(&format!(
            "START TRANSACTION; \
             INSERT INTO {schema}.wrapped_key (kid, provider, kek_ref, wrapped, wrapped_at) \
             VALUES ({kid}, '{}', '{}', x'{}', UTC_TIMESTAMP(6)); \
             UPDATE {schema}.epoch SET epoch = epoch + 1; COMMIT",
            wrapped.kek.provider.name(),
            wrapped.kek.reference,
            data_encoding::HEXUPPER.encode(&wrapped.blob)
        ));
        kid
    }

    /// Makes a pending key the one that writes, and raises the epoch. Waits for nobody.
    pub(crate) fn activate(&self, kid: KeyId) {
        let schema = self.schema;
        self.server.sql(&format!(
            "START TRANSACTION; \
             UPDATE {schema}.data_key old JOIN {schema}.data_key new USING (keyset_id, purpose) \
             SET old.state = 'decrypt_only', old.deactivated_at = UTC_TIMESTAMP(6) \
             WHERE new.kid = {kid} AND old.state = 'active'; \
             UPDATE {schema}.data_key SET state = 'active', activated_at = UTC_TIMESTAMP(6) WHERE kid = {kid}; \
             UPDATE {schema}.epoch SET epoch = epoch + 1; COMMIT"
        ));
    }

    /// Waits until every proxy that was seen within the lease, by the server's clock, works with the newest epoch.
    pub(crate) fn wait_for_fence(&self) {
        let schema = self.schema;
        let behind = format!(
            "SELECT COUNT(*) FROM {schema}.replica WHERE last_seen > UTC_TIMESTAMP(6) - INTERVAL 30 SECOND \
             AND loaded_epoch < (SELECT epoch FROM {schema}.epoch)"
        );
        wait_until("every live proxy has the newest epoch", || self.server.sql(&behind) == "0\n");
    }

    /// A whole rotation.
    pub(crate) async fn rotate(&self, keyset: &str, purpose: KeyPurpose) -> KeyId {
        let kid = self.create(keyset, purpose).await;
        tokio::task::block_in_place(|| {
            self.wait_for_fence();
            self.activate(kid);
            self.wait_for_fence();
        });
        kid
    }
}
