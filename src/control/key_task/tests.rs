use std::net::TcpListener;

use zeroize::Zeroizing;

use super::*;
use crate::control::{Pool, Settings, Tls};
use crate::keys::{
    BoxFuture, EncryptionContext, KekDescription, KekRef, KeyError, KeyProvider, ProviderKind, WrappedKey,
};

/// A provider that is never asked: there is no key store to have wraps from.
#[derive(Debug)]
struct Nobody;

impl KeyProvider for Nobody {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    fn describe<'a>(&'a self, _: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        Box::pin(async { Err(KeyError::NotFound) })
    }
}

impl Unwrapper for Nobody {
    fn unwrap<'a>(&'a self, _: &'a WrappedKey, _: &'a EncryptionContext) -> BoxFuture<'a, Result<KeySecret, KeyError>> {
        Box::pin(async { Err(KeyError::NotFound) })
    }
}

#[tokio::test]
async fn a_load_that_fails_again_waits_again() {
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pool = Pool::new(&Settings {
        host: "127.0.0.1".into(),
        port,
        user: "candado_proxy".into(),
        password: Zeroizing::new("none".into()),
        tls: Tls::Off,
        operation_timeout: Duration::from_secs(5),
        catalog_timeout: Duration::from_secs(5),
    });
    let policy = crate::policy::file::parse("policy.toml", "", 1).unwrap();
    let (_sender, policies) = watch::channel(Arc::new(policy));
    let mut task = KeyTask::new(KeyStore::new(pool, "candado"), Arc::new(Nobody), policies, |_| {});
    task.load().await;
    assert!(task.load_again.is_some());
    let due = Instant::now();
    task.load_again = Some(due);
    task.look_at_the_clock().await;
    assert!(task.load_again.is_some_and(|next| next > due), "a load that is due for ever would be tried without end");
}
