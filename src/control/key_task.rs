//! Keeps the key ring: loads the key store, opens its keys with the key provider, publishes the ring, and does so again
//! whenever the key store's epoch or the policy changes. The only place that opens keys.
//!
//! Until the first ring is there it tries again and again, and nothing protected is read or written meanwhile. Later a
//! key store or provider that does not answer changes nothing at first: opened keys stay in use. Three things take keys
//! away. The key store bars a key; the provider refuses one, and goes on refusing it for a while; the provider gives no
//! answer about one for as long as the grace lasts.
//!
//! Every second and a half the epoch is read and the heartbeat written. Each time both succeed, the write lease is extended to
//! [`LEASE`] after the moment before the heartbeat was sent. Whoever waits for all proxies to know an epoch may therefore
//! leave those out that have not been seen for that long by the server's clock: they seal nothing any more. No proxy's
//! wall clock is read for this: the server compares its own, and the proxy measures with the monotonic one, which runs on
//! while the process is stopped. (While the whole machine is suspended it does not; see SECURITY.md.)
//!
//! Requests to the provider run beside all this and never hold up a poll.

mod held;
pub(super) mod opening;
mod requests;
mod state;
#[cfg(test)]
mod tests;
mod trust;
mod vitals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backoff::fraction;
use super::error::chain;
use super::{Backoff, CatalogRequests, ControlError, Heartbeat, KeyStore, LEASE, StoredKeys};
use crate::crypto::{KeyId, KeySecret, Stage};
use crate::keys::{KeyRecord, KeyRing, KeyState, RingBuilder, Unwrapper};
use crate::policy::Policy;
pub use held::Revalidation;
use held::{Change, Held, Stand, Verdict};
pub use requests::KeyRequests;
use requests::{Admission, REQUESTS_MAX, Request};
use state::Failed;
pub use state::{KeysMissing, KeysState};
pub use vitals::Vitals;

/// How often the epoch is read and the heartbeat written. Two seconds are promised until a suspension cuts a proxy; the
/// rest of them is for loading what has changed.
const POLL: Duration = Duration::from_millis(1_500);
/// Polls without an answer after which that is an error and no longer a warning: a minute.
const SILENT_POLLS_MAX: u32 = 40;
/// Requests to the key provider at once.
const PARALLEL_MAX: usize = 10;

/// The newest state of the key store that is believed, and the policy to make a ring for.
struct Wanted {
    stored: StoredKeys,
    policy: Arc<Policy>,
}

/// What the published ring was made of; later changes are trusted or not by it.
struct Current {
    stored: StoredKeys,
    policy_digest: [u8; 32],
    digest: [u8; 32],
}

/// Whether the published ring holds a key that may not be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taint {
    Clean,
    Tainted,
}

type Publish = Box<dyn Fn(Option<&Arc<KeyRing>>) + Send + Sync>;
type Extend = Box<dyn Fn(std::time::Instant) + Send + Sync>;
type Opened = (KeyId, Result<(KeyRecord, KeySecret), Failed>);

/// The task. Run by the application's task tracker.
pub struct KeyTask {
    store: KeyStore,
    unwrapper: Arc<dyn Unwrapper>,
    policies: watch::Receiver<Arc<Policy>>,
    publish: Publish,
    extend_lease: Extend,
    state: watch::Sender<KeysState>,
    vitals: Arc<Vitals>,
    requests: mpsc::Receiver<Request>,
    /// Keeps the channel open while nobody else does.
    handle: KeyRequests,
    admission: Admission,
    waiting: Vec<Request>,
    name: Arc<str>,
    instance: [u8; 16],
    boot: [u8; 16],
    wanted: Option<Wanted>,
    current: Option<Current>,
    taint: Taint,
    /// Why a key was lost last.
    lost_by: KeysMissing,
    held: Held,
    asking: JoinSet<Opened>,
    /// When the key store is loaded again after that failed.
    load_again: Option<Instant>,
    backoff: Backoff,
    silent_polls: u32,
    catalog: Option<CatalogRequests>,
    /// When the last poll began and ended, with or without success.
    polled: Option<(Instant, Instant)>,
    /// When the last heartbeat was sent that extended the lease.
    beaten: Option<Instant>,
    /// The epoch that the key store had when it was read last.
    store_epoch: u64,
}

impl fmt::Debug for KeyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTask").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl KeyTask {
    /// Makes the task. `publish` is called with every new ring, and with `None` when keys in use were revoked and no
    /// other ring can be made.
    pub fn new(
        store: KeyStore,
        unwrapper: Arc<dyn Unwrapper>,
        policies: watch::Receiver<Arc<Policy>>,
        publish: impl Fn(Option<&Arc<KeyRing>>) + Send + Sync + 'static,
    ) -> Self {
        let boot = Uuid::new_v4().into_bytes();
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        Self {
            store,
            unwrapper,
            policies,
            publish: Box::new(publish),
            extend_lease: Box::new(|_| {}),
            state: watch::Sender::new(KeysState::Missing(KeysMissing::Starting)),
            vitals: Arc::default(),
            requests,
            handle: KeyRequests { requests: sender },
            admission: Admission::default(),
            waiting: Vec::new(),
            name: "".into(),
            instance: boot,
            boot,
            wanted: None,
            current: None,
            taint: Taint::Clean,
            lost_by: KeysMissing::ProviderRefuses,
            held: Held::new(Revalidation::default()),
            asking: JoinSet::new(),
            load_again: None,
            backoff: Backoff::new(),
            silent_polls: 0,
            catalog: None,
            polled: None,
            beaten: None,
            store_epoch: 0,
        }
    }

    /// Has the catalog loaded before a ring with columns that are not sealed is published: how they are written and
    /// looked up depends on their types, which change on the way.
    #[must_use]
    pub fn with_catalog(mut self, catalog: CatalogRequests) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Names this proxy, so that it has one row in the key store however often it starts: host and port, for example.
    /// Without a name every start counts as another proxy.
    #[must_use]
    pub fn with_instance(mut self, name: &str) -> Self {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(name.as_bytes());
        if let Some(id) = digest.first_chunk() {
            self.instance = *id;
        }
        self.name = name.into();
        self
    }

    /// Says how open keys are proved anew.
    #[must_use]
    pub fn with_revalidation(mut self, revalidation: Revalidation) -> Self {
        self.held.revalidation = revalidation;
        self
    }

    /// Says what to do with the write lease: the function is given the moment until which it holds.
    #[must_use]
    pub fn with_lease(mut self, extend: impl Fn(std::time::Instant) + Send + Sync + 'static) -> Self {
        self.extend_lease = Box::new(extend);
        self
    }

    /// Follows whether keys are there, and if not, why.
    pub fn state(&self) -> watch::Receiver<KeysState> {
        self.state.subscribe()
    }

    /// The way to ask for a key that nobody here knows.
    pub fn requests(&self) -> KeyRequests {
        self.handle.clone()
    }

    /// How the task is doing, in numbers.
    pub fn vitals(&self) -> Arc<Vitals> {
        self.vitals.clone()
    }

    /// Runs until the token is cancelled. Keys are wiped when the task and the last snapshot that holds the ring are
    /// gone.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
        }
        tracing::debug!("key task ended");
    }

    async fn serve(&mut self) {
        let mut policies = self.policies.clone();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.load().await;
        loop {
            self.ask();
            let wake = self.wake();
            tokio::select! {
                _ = poll.tick() => self.poll().await,
                () = changed(&mut policies) => self.load().await,
                Some(request) = self.requests.recv() => self.serve_request(request).await,
                Some(answer) = self.asking.join_next() => self.take(answer).await,
                () = until(wake) => self.look_at_the_clock().await,
            }
        }
    }

    /// When something has to be done that nobody tells of.
    fn wake(&self) -> Option<Instant> {
        let question = self.held.next_question().filter(|_| self.asking.len() < PARALLEL_MAX);
        [question, self.held.next_end(), self.load_again].into_iter().flatten().min()
    }

    /// Reads the epoch, loads what has changed, and tells the key store that this proxy is alive.
    async fn poll(&mut self) {
        let began = Instant::now();
        match self.store.epoch().await {
            Ok(epoch) => {
                self.store_epoch = epoch;
                self.vitals.read_store(began);
                let other = self.wanted.as_ref().is_none_or(|wanted| wanted.stored.epoch != epoch);
                if other && self.load_again.is_none() {
                    tracing::info!(epoch, "the key store has changed");
                    self.load().await;
                }
                self.beat().await;
            }
            Err(error) => self.silent(&error),
        }
        self.polled = Some((began, Instant::now()));
    }

    /// Loads the key store. What is new in it is opened next.
    async fn load(&mut self) {
        let policy = self.policies.borrow_and_update().clone();
        let began = Instant::now();
        let loaded = self.store.load().await.map_err(Failed::from).and_then(|stored| match &self.current {
            Some(current) => trust::check(&current.stored, &stored).map_err(Failed::Distrusted).map(|()| stored),
            None => Ok(stored),
        });
        let stored = match loaded {
            Ok(stored) => stored,
            Err(error) => {
                self.try_again();
                self.report(&error);
                self.answer_waiting();
                return;
            }
        };
        self.vitals.read_store(began);
        self.load_again = None;
        self.store_epoch = stored.epoch;
        self.obey(&stored);
        let usable = opening::needed(&policy, &stored).into_iter().filter(|record| record.state.may_decrypt());
        let kids = usable.map(|record| record.kid).collect();
        self.held.keep(&kids, Instant::now());
        self.held.hurry(Instant::now());
        self.wanted = Some(Wanted { stored, policy });
        self.settle().await;
    }

    /// Marks the ring as tainted if the store bars a key that the ring uses.
    fn obey(&mut self, stored: &StoredKeys) {
        let Some(current) = &self.current else { return };
        for kid in trust::revoked(&current.stored, stored) {
            tracing::error!(%kid, "a key in use was barred in the key store; it is dropped");
            self.taint = Taint::Tainted;
        }
    }

    /// Publishes the ring that can be made now. A ring that may not be used any more goes at once, whatever comes.
    async fn settle(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let made = match (self.held.has_closed(), self.taint) {
            (true, Taint::Clean) => Ok(None),
            // What may not be used any more goes at once, and takes nothing with it that does not need it.
            (true, Taint::Tainted) | (false, _) => self.make(wanted).map(Some),
        };
        let made = match made {
            Ok(Some(ring)) => self.refresh_catalog(&wanted.stored).await.map(|()| Some(ring)),
            Ok(None) | Err(_) => made,
        };
        match made {
            Ok(Some(ring)) => {
                let (stored, policy) = (&wanted.stored, &wanted.policy);
                let (epoch, policy_version) = (stored.epoch, policy.version());
                for keyset in ring.inactive() {
                    tracing::warn!("{keyset}");
                }
                self.vitals.published(ring.inactive().len());
                let ring = Arc::new(ring);
                let (stored, policy_digest) = (self.acknowledged(stored), policy.digest());
                self.current = Some(Current { stored, policy_digest, digest: *ring.digest() });
                self.backoff = Backoff::new();
                self.taint = Taint::Clean;
                // The key store may hear of an epoch when nothing older is in use here. Without a ring nothing is, and
                // the lease is there when the first one comes.
                let is_first = *self.state.borrow() != KeysState::Ready;
                if is_first {
                    self.beat().await;
                }
                (self.publish)(Some(&ring));
                // Who waits for this line finds the keys in use.
                tracing::info!(epoch, policy = policy_version, lost = self.held.lost(), "keys opened");
                if !is_first {
                    self.beat().await;
                }
                self.state.send_replace(KeysState::Ready);
                self.answer_waiting();
            }
            Ok(None) => self.withdraw(KeysMissing::Keys),
            Err(error) => {
                if matches!(error, Failed::Catalog) {
                    self.try_again();
                }
                self.withdraw(error.class());
                self.report(&error);
                self.answer_waiting();
            }
        }
        self.vitals.keys(self.held.oldest_proof(), self.held.lost());
    }

    /// Whoever moves a column on waits until every proxy has acknowledged the key store's epoch. So a proxy that has
    /// knows what types the columns had when the epoch began.
    async fn refresh_catalog(&self, stored: &StoredKeys) -> Result<(), Failed> {
        match &self.catalog {
            Some(catalog) if stored.stages.values().any(|stage| *stage != Stage::Sealed) => {
                catalog.refresh().await.map(drop).map_err(|_| Failed::Catalog)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The ring of what is held.
    fn make(&self, wanted: &Wanted) -> Result<KeyRing, Failed> {
        let Wanted { stored, .. } = wanted;
        let mut builder = RingBuilder::new().with_stages(stored.stages.clone()).of_deployment(stored.deployment);
        for record in opening::needed(&wanted.policy, &wanted.stored) {
            match self.held.stand(record.kid) {
                // Nothing is written under it yet.
                Some(Stand::Closed) if record.state == KeyState::Pending => {}
                Some(Stand::Lost | Stand::Closed) => builder.add_lost(record.clone())?,
                Some(Stand::Open) | None => {
                    builder.add(record.clone(), self.held.secret(record.kid).map(KeySecret::duplicate))?;
                }
            }
        }
        let ring = builder.build(&wanted.policy, wanted.stored.epoch)?;
        if ring.serves_nothing() { Err(Failed::Lost { keys: self.held.lost(), class: self.lost_by }) } else { Ok(ring) }
    }

    /// What a ring stands for that is made now. While keys are not open yet, it does without them, and the epoch in which
    /// they came is not acknowledged.
    fn acknowledged(&self, stored: &StoredKeys) -> StoredKeys {
        let mut stored = stored.clone();
        if let Some(current) = self.current.as_ref().filter(|_| self.held.has_closed()) {
            stored.epoch = current.stored.epoch;
            stored.records.retain(|record| self.held.stand(record.kid) != Some(Stand::Closed));
        }
        stored
    }

    /// Takes a tainted ring away. A proxy without a ring does what every later epoch asks of it, nothing, and says so:
    /// the rotation that would give it a ring again waits for all proxies.
    fn withdraw(&mut self, class: KeysMissing) {
        match self.taint {
            Taint::Tainted => {
                (self.publish)(None);
                self.taint = Taint::Clean;
                self.state.send_replace(KeysState::Missing(class));
            }
            Taint::Clean if *self.state.borrow() == KeysState::Ready => return,
            Taint::Clean => {}
        }
        if let (Some(current), Some(wanted)) = (&mut self.current, &self.wanted) {
            current.stored = wanted.stored.clone();
        }
    }

    /// Asks the provider about the keys whose turn has come.
    fn ask(&mut self) {
        let Some(Wanted { stored, .. }) = &self.wanted else { return };
        while self.asking.len() < PARALLEL_MAX
            && let Some(kid) = self.held.take_due(Instant::now())
        {
            let Some(record) = stored.records.iter().find(|record| record.kid == kid) else { continue };
            let open = opening::open(self.store.clone(), self.unwrapper.clone(), record.clone(), stored.deployment);
            self.asking.spawn(async move { (kid, open.await) });
        }
    }

    /// Takes an answer of the provider.
    async fn take(&mut self, answer: Result<Opened, JoinError>) {
        let Ok((kid, opened)) = answer else {
            self.report(&Failed::Interrupted);
            return;
        };
        let change = match opened {
            Ok((record, secret)) => {
                let known = self.wanted.as_mut().map(|wanted| &mut wanted.stored.records);
                if let Some(known) = known.into_iter().flatten().find(|known| known.kid == kid) {
                    known.kcv = record.kcv;
                }
                self.held.opened(kid, secret, Instant::now(), fraction())
            }
            Err(error) => self.not_opened(kid, &error),
        };
        self.vitals.keys(self.held.oldest_proof(), self.held.lost());
        match change {
            Change::None => {}
            Change::Opened => self.settle().await,
            Change::Lost => {
                tracing::error!(alarm = true, %kid, "the key provider goes on refusing a key in use; it is wiped");
                self.taint = Taint::Tainted;
                self.lost_by = KeysMissing::ProviderRefuses;
                self.settle().await;
            }
        }
    }

    /// Loads the key store again after a while, and asks for the keys that were never open.
    fn try_again(&mut self) {
        if self.load_again.is_none() {
            self.load_again = Some(Instant::now() + self.backoff.next());
        }
    }

    fn not_opened(&mut self, kid: KeyId, error: &Failed) -> Change {
        let refused = matches!(error, Failed::Provider { source, .. } if source.definitive());
        if refused {
            self.vitals.refused();
        }
        match self.held.stand(kid) {
            // Without it there is no new ring. The key store may have another wrap by the next time.
            Some(Stand::Closed) => {
                self.try_again();
                self.report(error);
                self.answer_waiting();
            }
            Some(Stand::Open | Stand::Lost) => {
                tracing::warn!(%kid, refused, cause = %chain(error), "a key could not be proved anew");
            }
            None => {}
        }
        let verdict = if refused { Verdict::Refused } else { Verdict::Nothing };
        self.held.not_opened(kid, verdict, Instant::now())
    }

    /// Does what time alone brings about.
    async fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        // Taken, so that a load which fails again sets the next time itself.
        if self.load_again.take_if(|at| *at <= now).is_some() {
            self.load().await;
        }
        for kid in self.held.alarms(now) {
            tracing::error!(alarm = true, %kid, "the key provider has not proved a key for long; it stays in use for now");
        }
        let over = self.held.expire(now);
        for kid in &over {
            tracing::error!(alarm = true, %kid, "the key provider has not proved a key within the grace; it is wiped");
            self.taint = Taint::Tainted;
            self.lost_by = KeysMissing::ProviderUnavailable;
        }
        if !over.is_empty() {
            self.settle().await;
        }
    }

    /// Says that the key store does not answer, or takes no heartbeat: once at the start of it, and then once a minute.
    fn silent(&mut self, error: &ControlError) {
        let polls = self.silent_polls;
        self.silent_polls = polls.saturating_add(1);
        if self.current.is_none() {
            // That there are no keys, and why, is told by whoever loads them.
            tracing::debug!(cause = %error.chain(), "the key store cannot be read");
        } else if polls == 0 {
            tracing::warn!(cause = %error.chain(), "the key store cannot be reached; opened keys stay in use, without a heartbeat only for reading");
        } else if polls.is_multiple_of(SILENT_POLLS_MAX) {
            tracing::error!(cause = %error.chain(), polls, "the key store still cannot be reached: protected columns are not written");
        }
    }

    /// Tells the key store that this proxy is alive, and extends the write lease. That it cannot is no reason to stop.
    async fn beat(&mut self) {
        let Some(current) = &self.current else { return };
        let beat = Heartbeat {
            instance: self.instance,
            name: self.name.clone(),
            boot: self.boot,
            epoch: current.stored.epoch,
            digest: current.digest,
            policy_digest: current.policy_digest,
        };
        // While the lease holds, whoever waits for all proxies waits for this one, however old its ring is. Once it was
        // over, others may have left that ring behind: the lease comes back with the newest one.
        let newest = current.stored.epoch == self.store_epoch;
        let began = Instant::now();
        match self.store.heartbeat(&beat).await {
            Ok(()) => {
                self.silent_polls = 0;
                // Measured now: so this heartbeat came within the lease of the one before by the server's clock, too.
                if newest || self.beaten.is_some_and(|at| at.elapsed() < LEASE) {
                    self.beaten = Some(began);
                    (self.extend_lease)((began + LEASE).into_std());
                }
            }
            Err(error) => self.silent(&error),
        }
    }

    fn report(&self, error: &Failed) {
        let class = error.class();
        let ready = *self.state.borrow() == KeysState::Ready;
        if ready {
            tracing::error!(%class, cause = %chain(error), "keys not renewed; the previous ones stay in use");
        } else {
            self.state.send_replace(KeysState::Missing(class));
            tracing::error!(%class, cause = %chain(error), "not ready: protected columns can be neither read nor written");
        }
    }
}

/// Waits for another policy; for ever if there will be none.
async fn changed(policies: &mut watch::Receiver<Arc<Policy>>) {
    if policies.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for a moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
