//! Keeps what the firewall knows of accounts: stores what was learned, reads what all proxies and people have stored, and
//! publishes it. A store that does not answer changes nothing: what was read stays in use, and what was learned waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::profile_store::{DIGESTS_MAX, Held, Learned};
use super::{ControlError, ProfileStore};
use crate::firewall::profile::{Growth, Loaded, Place, Profiles, Sighting};

/// How often the store is asked.
const POLL: Duration = Duration::from_secs(1);
/// How often statements of known digests are counted there.
const COUNT: Duration = Duration::from_secs(30);
/// New digests of one place that are stored in one go: a flood of them takes its time, and leaves the store to others.
const FRESH_MAX: usize = 500;

type Publish = Box<dyn Fn(&Arc<Profiles>) + Send + Sync>;

/// Whether digests that the store has already are counted there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    NotNow,
    Now,
}

/// The task. Run by the application's task tracker.
pub struct ProfileTask {
    store: ProfileStore,
    publish: Publish,
    current: Arc<Profiles>,
    held: Held,
    counted: Instant,
    is_failing: bool,
}

impl std::fmt::Debug for ProfileTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileTask").field("is_failing", &self.is_failing).finish_non_exhaustive()
    }
}

impl ProfileTask {
    /// Makes the task. `publish` is called with what the first attempt brought, even if that is nothing, and with every
    /// change.
    pub fn new(store: ProfileStore, publish: impl Fn(&Arc<Profiles>) + Send + Sync + 'static) -> Self {
        let current = Arc::new(Profiles::default());
        let (held, counted) = (Held::new(), Instant::now());
        Self { store, publish: Box::new(publish), current, held, counted, is_failing: false }
    }

    /// Runs until the token is cancelled, and stores then what was learned last.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
        }
        if let Err(error) = self.learn(Counts::Now).await {
            self.failed(&error);
        }
        tracing::debug!("profile task ended");
    }

    async fn serve(&mut self) {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            poll.tick().await;
            let counts = if self.counted.elapsed() >= COUNT { Counts::Now } else { Counts::NotNow };
            let done = match self.learn(counts).await {
                Ok(()) => self.load().await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => self.is_failing = false,
                Err(error) => self.failed(&error),
            }
            if self.current.loaded() == Loaded::No {
                (self.publish)(&self.current);
            }
        }
    }

    /// Says so once.
    fn failed(&mut self, error: &ControlError) {
        let cause = error.chain();
        match (std::mem::replace(&mut self.is_failing, true), self.current.loaded()) {
            (true, _) => tracing::debug!(cause, "the firewall's profiles cannot be read or written"),
            (false, Loaded::Yes) => tracing::warn!(cause, "the firewall's profiles cannot be read or written"),
            (false, Loaded::No) => tracing::error!(
                cause,
                "the firewall's profiles cannot be read: nothing is learned, there are no exceptions, and protected \
                 accounts are refused; see keys-policy/schema.sql"
            ),
        }
    }

    async fn load(&mut self) -> Result<(), ControlError> {
        let stored = self.store.load(&mut self.held).await?;
        let next = self.current.next(stored.profiles, stored.exceptions);
        if next.same_as(&self.current) {
            return Ok(());
        }
        // At a start without profiles there is nothing to tell, unless they could not be read before.
        let is_news = self.is_failing || self.current.loaded() == Loaded::Yes || !next.is_empty();
        self.current = Arc::new(next);
        (self.publish)(&self.current);
        // Who waits for this line finds them in use.
        if is_news {
            tracing::info!(version = self.current.version(), "the firewall's profiles have changed");
        }
        Ok(())
    }

    async fn learn(&mut self, counts: Counts) -> Result<(), ControlError> {
        let passed_over = self.current.sightings().passed_over();
        if passed_over > 0 {
            tracing::warn!(passed_over, "more new digests than the firewall learns at once");
        }
        let mut places: BTreeMap<Place, Vec<(Arc<Sighting>, u64)>> = BTreeMap::new();
        for sighting in self.current.sightings().pending() {
            let count = sighting.pending();
            places.entry(sighting.place.clone()).or_default().push((sighting, count));
        }
        for (place, sightings) in places {
            self.learn_of(&place, sightings, counts).await?;
        }
        if counts == Counts::Now {
            self.counted = Instant::now();
        }
        Ok(())
    }

    async fn learn_of(
        &self,
        place: &Place,
        sightings: Vec<(Arc<Sighting>, u64)>,
        counts: Counts,
    ) -> Result<(), ControlError> {
        let profile = self.current.profile(place);
        if profile.is_some_and(|profile| profile.growth == Growth::Frozen) {
            settle(&sightings);
            return Ok(());
        }
        let is_known = |sighting: &Sighting| profile.is_some_and(|profile| profile.has(sighting.digest));
        let (mut known, mut fresh): (Vec<_>, Vec<_>) =
            sightings.into_iter().partition(|(sighting, _)| is_known(sighting));
        let room = DIGESTS_MAX.saturating_sub(profile.map_or(0, |profile| profile.len()));
        if fresh.len() > room {
            let Place { account, database } = place;
            tracing::warn!(%account, %database, "the profile is full: further digests are not learned");
            settle(&fresh.split_off(room));
        }
        fresh.truncate(FRESH_MAX);
        if counts == Counts::NotNow {
            known.clear();
        }
        if fresh.is_empty() && known.is_empty() {
            return Ok(());
        }
        match self.store.learn(place, &fresh, &known).await? {
            Learned::Stored => tracing::debug!(digests = fresh.len(), "digests learned"),
            Learned::Frozen => tracing::debug!("the profile was frozen meanwhile"),
        }
        settle(&fresh);
        settle(&known);
        Ok(())
    }
}

fn settle(sightings: &[(Arc<Sighting>, u64)]) {
    for (sighting, count) in sightings {
        sighting.settled(*count);
    }
}
