//! Carrying keys from one key provider to another. A provider hands no wrap to another one, so each key is in the clear for
//! a moment, in this process alone: it is opened, wrapped by the other provider, opened there again and compared with its
//! check value. Only when that has been done with every key is anything written.

use serde_json::{Value, json};

use super::{ActError, By, KeyStore, Request, Run, StoredWrap};
use crate::control::approval::GuardedAct;
use crate::crypto::{KeyId, KeySecret};
use crate::keys::{KekRef, KeyError, Receiver, Unwrapper, WrappedKey};

/// What takes part.
#[derive(Clone, Copy, Debug)]
pub struct Carriage<'a> {
    /// Opens what there is.
    pub from: &'a dyn Unwrapper,
    /// Wraps for the other provider.
    pub receiver: &'a dyn Receiver,
    /// Opens there.
    pub to: &'a dyn Unwrapper,
    /// The key-encryption key there.
    pub kek: &'a KekRef,
}

impl Carriage<'_> {
    /// Wraps one key for the other provider. Asks both and changes nothing in the key store.
    pub async fn carry(&self, wrap: &StoredWrap) -> Result<WrappedKey, ActError> {
        let kid = wrap.context.kid;
        let refused = |source| ActError::Rewrap { kid, source };
        let secret = self.from.unwrap(&wrap.wrapped, &wrap.context).await.map_err(refused)?;
        let fresh = self.receiver.wrap(self.kek, &secret, &wrap.context).await.map_err(refused)?;
        let proved = self.to.unwrap(&fresh, &wrap.context).await.map_err(refused)?;
        let kcv = |secret: &KeySecret| secret.kcv(kid, wrap.context.purpose);
        if proved.has_kcv(kid, wrap.context.purpose, &kcv(&secret)) {
            Ok(fresh)
        } else {
            Err(refused(KeyError::Protocol("the wrap holds another key".to_owned())))
        }
    }
}

impl KeyStore {
    /// Adds the wraps that were made by [`Carriage::carry`], all of them or none, behind those that there are. A wrap under
    /// the same key-encryption key is renewed.
    pub async fn add_wraps(
        &self,
        carried: &[(StoredWrap, WrappedKey)],
        kek: &KekRef,
        run: Run,
        by: By<'_>,
    ) -> Result<Vec<KeyId>, ActError> {
        self.transaction("add wraps", run, async |session, header| {
            let subject = format!("{} keys, to {kek}", carried.len());
            let wanted = Request { act: GuardedAct::AddWrap, subject, epoch: header.epoch, row_version: 0 };
            let approved = self.approval(session, wanted, by).await?;
            let mut done = Vec::new();
            for (old, fresh) in carried {
                let kid = old.context.kid;
                self.touch_wrap(session, old).await?;
                let priority = self.last_priority(session, kid).await?.saturating_add(1);
                self.put_wrap(session, kid, fresh, priority).await?;
                let after = json!({
                    "kek": fresh.kek.to_string(), "from": old.wrapped.kek.to_string(), "approval": approved.facts(),
                });
                by.record(session, "key.add_wrap", format!("key {kid}"), Value::Null, after).await?;
                done.push(kid);
            }
            self.raise_epoch(session, header.epoch).await?;
            Ok(done)
        })
        .await
    }
}
