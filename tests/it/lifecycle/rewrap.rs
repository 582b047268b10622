//! Wrapping keys again, under the principal that opens none.

use candado::control::{ActError, OldWrap, Run, StoredWrap};
use candado::crypto::KeyPurpose;
use candado::keys::{AwsCredentials, AwsKms, AwsKmsSettings, KekRef, KeyError, ProviderKind, Unwrapper, WrappedKey};

use super::store::{DATA, Team, kid};
use crate::fakekms::{Fault, State};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    the_same_key_is_wrapped_by_the_newest_material,
    a_key_moves_to_another_key_encryption_key,
    a_wrap_that_was_exchanged_meanwhile_is_left_alone,
    a_provider_that_fails_leaves_the_old_wrap,
);

impl Team {
    async fn wrap(&self, number: usize) -> StoredWrap {
        let wraps = self.store.stored_wraps().await.unwrap();
        wraps.into_iter().filter(|wrap| wrap.context.kid == kid(DATA)).nth(number).unwrap()
    }

    async fn check_value(&self, unwrapper: &AwsKms, wrap: &StoredWrap) -> Result<[u8; 16], KeyError> {
        let secret = unwrapper.unwrap(&wrap.wrapped, &wrap.context).await?;
        Ok(secret.kcv(wrap.context.kid, KeyPurpose::Data))
    }

    async fn principal(&self, name: &str, arns: &[&str]) -> AwsKms {
        AwsKms::new(AwsKmsSettings {
            kek_arns: arns.iter().map(|arn| (*arn).to_owned()).collect(),
            endpoint: Some(self.setup.fake.endpoint()),
            credentials: AwsCredentials::Static {
                access_key_id: name.to_owned(),
                secret_access_key: "not checked".to_owned().into(),
            },
        })
        .await
        .unwrap()
    }
}

async fn the_same_key_is_wrapped_by_the_newest_material(kind: Kind) {
    let team = Team::new(kind).await;
    let (old, kek) = (team.wrap(0).await, &team.setup.kek);
    let value = team.check_value(&team.setup.unwrapper, &old).await.unwrap();
    team.setup.fake.rotate(&kek.reference);
    let epoch = team.store.epoch().await.unwrap();
    let done =
        team.store.rewrap_key(&old, kek, OldWrap::Replace, &*team.setup.admin, Run::Real, team.by()).await.unwrap();
    assert_eq!((done.kid, &done.from, &done.to), (kid(DATA), kek, kek));
    let new = team.wrap(0).await;
    assert_eq!((new.wrap_version, new.priority), (2, 0));
    assert_ne!(new.wrapped.blob, old.wrapped.blob);
    assert_eq!(team.check_value(&team.setup.unwrapper, &new).await.unwrap(), value);
    assert_eq!(team.store.epoch().await.unwrap(), epoch + 1, "proxies must learn of the new wrap");
    let denied = team.setup.admin.unwrap(&new.wrapped, &new.context).await.unwrap_err();
    assert_eq!(denied, KeyError::Denied, "whoever rewraps opens nothing");
}

async fn a_key_moves_to_another_key_encryption_key(kind: Kind) {
    let team = Team::new(kind).await;
    let second = KekRef::new(ProviderKind::AwsKms, team.setup.fake.create_key());
    let arns = [&*team.setup.kek.reference, &*second.reference];
    let (admin, proxy) = (team.principal("SECURITY", &arns).await, team.principal("PROXY", &arns[1..]).await);
    let old = team.wrap(0).await;
    let value = team.check_value(&team.setup.unwrapper, &old).await.unwrap();

    team.store.rewrap_key(&old, &second, OldWrap::Keep, &admin, Run::Real, team.by()).await.unwrap();
    let (first, added) = (team.wrap(0).await, team.wrap(1).await);
    assert_eq!(first, old, "the old wrap stays the preferred one");
    assert_eq!((&added.wrapped.kek, added.priority), (&second, 1));
    assert_eq!(team.check_value(&proxy, &added).await.unwrap(), value);
    // Once more renews the one that is there.
    team.store.rewrap_key(&old, &second, OldWrap::Keep, &admin, Run::Real, team.by()).await.unwrap();
    assert_eq!(team.wrap(1).await.wrap_version, 2);

    let before = team.store.epoch().await.unwrap();
    team.store.drop_wrap(&old, Run::Rehearsal, team.by()).await.unwrap();
    assert_eq!(team.store.epoch().await.unwrap(), before);
    team.store.drop_wrap(&old, Run::Real, team.by()).await.unwrap();
    let left = team.wrap(0).await;
    assert_eq!(left.wrapped.kek, second);
    let last = team.store.drop_wrap(&left, Run::Real, team.by()).await.unwrap_err();
    assert!(matches!(last, ActError::Changed { .. }), "the last wrap of a key is not deleted: {last:?}");
    assert_eq!(team.wrap(0).await, left);

    // And back in one step.
    team.store.rewrap_key(&left, &team.setup.kek, OldWrap::Replace, &admin, Run::Real, team.by()).await.unwrap();
    let back = team.wrap(0).await;
    assert_eq!((&back.wrapped.kek, back.priority), (&team.setup.kek, 1));
    assert_eq!(team.check_value(&team.setup.unwrapper, &back).await.unwrap(), value);
}

async fn a_wrap_that_was_exchanged_meanwhile_is_left_alone(kind: Kind) {
    let team = Team::new(kind).await;
    let (old, kek, admin) = (team.wrap(0).await, &team.setup.kek, &*team.setup.admin);
    let rewrap = async || team.store.rewrap_key(&old, kek, OldWrap::Replace, admin, Run::Real, team.by()).await;
    let (first, second) = tokio::join!(rewrap(), rewrap());
    let outcomes = [first.is_ok(), second.is_ok()];
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{first:?} {second:?}");
    assert_eq!(team.wrap(0).await.wrap_version, 2);
    let stale = team.store.drop_wrap(&old, Run::Real, team.by()).await.unwrap_err();
    assert_eq!(stale.code(), "changed");
}

async fn a_provider_that_fails_leaves_the_old_wrap(kind: Kind) {
    let team = Team::new(kind).await;
    let (old, kek, admin) = (team.wrap(0).await, &team.setup.kek, &*team.setup.admin);
    let rewrap = async |wrap: &StoredWrap| {
        let outcome = team.store.rewrap_key(wrap, kek, OldWrap::Replace, admin, Run::Real, team.by()).await;
        match outcome {
            Ok(_) => None,
            Err(ActError::Rewrap { source, .. }) => Some(source),
            Err(other) => panic!("{other:?}"),
        }
    };
    team.setup.fake.fail_always(Some(Fault::Internal));
    assert_eq!(rewrap(&old).await, Some(KeyError::Unavailable));
    team.setup.fake.fail_always(None);
    team.setup.fake.set_state(&kek.reference, State::Disabled);
    assert_eq!(rewrap(&old).await, Some(KeyError::Disabled));
    team.setup.fake.set_state(&kek.reference, State::Enabled);
    let wrapped = WrappedKey { blob: b"garbage".to_vec(), ..old.wrapped.clone() };
    assert_eq!(rewrap(&StoredWrap { wrapped, ..old.clone() }).await, Some(KeyError::ContextMismatch));
    assert_eq!(team.wrap(0).await, old);
    assert_eq!(rewrap(&old).await, None);
}
