//! Finds and makes the keys of single data subjects for the data plane: reads them from the key store, opens them with the
//! subject keys of the published ring, and leaves them in that ring.
//!
//! A ring holds what was opened into it and no more, and every change of the key store brings another ring. So after an
//! erasure nobody has the key: the new ring begins with none, and what is read into it was read after the erasure.
//!
//! All that wait are served together. Ids that do not exist come from values that somebody forged; the key store is read
//! for them at most a few times a second, however many connections ask.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::key_store::{BATCH, StoredSubject};
use super::{ControlError, KeyStore};
use crate::crypto::{KeyId, SubjectDigest, SubjectKeys};
use crate::keys::KeyRing;

/// Requests that may wait at once.
const REQUESTS_MAX: usize = 256;
/// How soon keys are tried to be made again.
const AGAIN: Duration = Duration::from_millis(500);
/// Reads that meet an id which does not exist, in [`WINDOW`].
const MISSES_MAX: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// A data subject of a keyset.
pub type KeysetSubject = (Arc<str>, SubjectDigest);

#[derive(Clone, Debug)]
enum Wanted {
    /// Keys of these, made if there are none.
    Subjects(Vec<KeysetSubject>),
    /// The first of these keys; the others come along.
    Keys(Vec<KeyId>),
}

#[derive(Debug)]
struct Request {
    wanted: Wanted,
    reply: oneshot::Sender<()>,
}

/// Asks a [`SubjectTask`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SubjectRequests {
    requests: mpsc::Sender<Request>,
}

impl SubjectRequests {
    /// Waits until the published ring has the keys of these data subjects, or knows that they were destroyed. Goes on
    /// until it is dropped. Cancel-safe.
    pub async fn keys_of(&self, subjects: Vec<KeysetSubject>) -> bool {
        self.ask(Wanted::Subjects(subjects)).await
    }

    /// Waits until the published ring has the first of these keys, or knows that it was destroyed. Has no limit of its
    /// own. Cancel-safe.
    pub async fn find(&self, kids: Vec<KeyId>) -> bool {
        self.ask(Wanted::Keys(kids)).await
    }

    async fn ask(&self, wanted: Wanted) -> bool {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request { wanted, reply }).is_ok() && answer.await.is_ok()
    }
}

type Published = Box<dyn Fn() -> Option<Arc<KeyRing>> + Send + Sync>;

/// The task. Run by the application's task tracker.
pub struct SubjectTask {
    store: KeyStore,
    published: Published,
    requests: mpsc::Receiver<Request>,
    admission: Admission,
}

impl fmt::Debug for SubjectTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectTask").finish_non_exhaustive()
    }
}

impl SubjectTask {
    /// Makes the task and the way to ask it. `published` gives the ring that statements begin with now.
    pub fn new(
        store: KeyStore,
        published: impl Fn() -> Option<Arc<KeyRing>> + Send + Sync + 'static,
    ) -> (Self, SubjectRequests) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let task = Self { store, published: Box::new(published), requests, admission: Admission::default() };
        (task, SubjectRequests { requests: sender })
    }

    /// Runs until the token is cancelled or nobody can ask any more.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
        let mut waiting = Vec::new();
        loop {
            let room = REQUESTS_MAX.saturating_sub(waiting.len());
            let again = Instant::now() + AGAIN;
            tokio::select! {
                received = self.requests.recv_many(&mut waiting, room), if room > 0 => {
                    if received == 0 {
                        return;
                    }
                }
                () = sleep_until(again), if !waiting.is_empty() => {}
            }
            waiting.retain(|request: &Request| !request.reply.is_closed());
            if let Some(ring) = (self.published)()
                && let Err(error) = self.fetch(&ring, &waiting).await
            {
                tracing::error!(cause = %error.chain(), "keys of data subjects were neither read nor made");
            }
            let ring = (self.published)();
            for request in std::mem::take(&mut waiting) {
                if ring.as_deref().is_some_and(|ring| is_there(ring, &request.wanted)) {
                    // A connection that went away needs no answer.
                    request.reply.send(()).unwrap_or(());
                    continue;
                }
                match &request.wanted {
                    // The subject key was rotated, and its ring is on the way; or another proxy made the same key at the
                    // same moment and the server chose it. Who waits says how long.
                    Wanted::Subjects(_) => waiting.push(request),
                    // Its end tells that there is no such key.
                    Wanted::Keys(_) => {}
                }
            }
        }
    }

    async fn fetch(&mut self, ring: &KeyRing, waiting: &[Request]) -> Result<(), ControlError> {
        let (mut kids, mut subjects) = (BTreeSet::new(), BTreeMap::<&Arc<str>, BTreeSet<SubjectDigest>>::new());
        for request in waiting {
            match &request.wanted {
                Wanted::Keys(named) => kids.extend(named.iter().copied().filter(|kid| !knows(ring, *kid))),
                Wanted::Subjects(of) => {
                    for (keyset, subject) in of {
                        subjects.entry(keyset).or_default().insert(*subject);
                    }
                }
            }
        }
        for (keyset, subjects) in subjects {
            if let Some(keys) = ring.subjects(keyset) {
                find_or_make(&self.store, keys, &Vec::from_iter(subjects)).await?;
            }
        }
        let kids = self.admission.those_that_may_exist(kids, Instant::now());
        for batch in kids.chunks(BATCH) {
            if !self.admission.admit(Instant::now()) {
                tracing::warn!(
                    "stored values go on naming keys of data subjects that do not exist; they are not looked for"
                );
                break;
            }
            find(&self.store, &|keyset| ring.subjects(keyset).cloned(), batch).await?;
            let missed: Vec<KeyId> = batch.iter().filter(|kid| !knows(ring, **kid)).copied().collect();
            self.admission.missed(&missed, Instant::now());
        }
        Ok(())
    }
}

/// Where the keys of data subjects of a keyset are held.
type Held<'a> = &'a (dyn Fn(&str) -> Option<Arc<SubjectKeys>> + Sync);

/// Opens the keys of these ids where those of their keyset are held, as far as they exist.
pub(super) async fn find(store: &KeyStore, held: Held<'_>, kids: &[KeyId]) -> Result<(), ControlError> {
    for batch in kids.chunks(BATCH) {
        for stored in store.subjects_by_kid(batch).await? {
            if let Some(keys) = held(&stored.keyset) {
                admit(&keys, &stored);
            }
        }
    }
    Ok(())
}

/// Opens the keys of these data subjects where those of their keyset are held; makes those that are missing.
pub(super) async fn find_or_make(
    store: &KeyStore,
    keys: &SubjectKeys,
    subjects: &[SubjectDigest],
) -> Result<(), ControlError> {
    let keyset = keys.keyset();
    let is_missing = |subject: &&SubjectDigest| keys.by_subject(subject).is_none();
    let missing: Vec<SubjectDigest> = subjects.iter().filter(is_missing).copied().collect();
    for batch in missing.chunks(BATCH) {
        let found = store.subjects_of(keyset, batch).await?;
        found.iter().for_each(|stored| admit(keys, stored));
        let known: BTreeSet<SubjectDigest> = found.iter().map(|stored| stored.subject).collect();
        let new: Vec<SubjectDigest> = batch.iter().filter(|subject| !known.contains(subject)).copied().collect();
        if !new.is_empty() {
            store.make_subjects(keys, &new).await?;
            store.subjects_of(keyset, &new).await?.iter().for_each(|stored| admit(keys, stored));
        }
    }
    Ok(())
}

fn admit(keys: &SubjectKeys, stored: &StoredSubject) {
    if let Err(error) = keys.admit(stored.kid, stored.subject, stored.wrap.as_ref()) {
        tracing::error!(kid = %stored.kid, keyset = stored.keyset, %error, "the key of a data subject was not opened");
    }
}

fn knows(ring: &KeyRing, kid: KeyId) -> bool {
    ring.all_subjects().any(|keys| keys.by_kid(kid).is_some())
}

fn is_there(ring: &KeyRing, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Keys(kids) => kids.first().is_some_and(|kid| knows(ring, *kid)),
        Wanted::Subjects(subjects) => subjects
            .iter()
            .all(|(keyset, subject)| ring.subjects(keyset).is_some_and(|keys| keys.by_subject(subject).is_some())),
    }
}

/// Decides for which ids the key store is read. Ids that exist cost nothing here, however many they are.
#[derive(Debug, Default)]
struct Admission {
    /// Reads that met an id which does not exist.
    misses: VecDeque<Instant>,
    missed: HashMap<KeyId, Instant>,
}

impl Admission {
    /// Without the ids that were not found lately.
    fn those_that_may_exist(&mut self, kids: BTreeSet<KeyId>, now: Instant) -> Vec<KeyId> {
        self.missed.retain(|_, at| now.duration_since(*at) < WINDOW);
        kids.into_iter().filter(|kid| !self.missed.contains_key(kid)).collect()
    }

    /// Whether the key store may be read for ids now.
    fn admit(&mut self, now: Instant) -> bool {
        while self.misses.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.misses.pop_front();
        }
        self.misses.len() < MISSES_MAX
    }

    /// A read did not find these ids. At most [`MISSES_MAX`] such reads are made in a [`WINDOW`], so few ids are kept.
    fn missed(&mut self, kids: &[KeyId], now: Instant) {
        if !kids.is_empty() {
            self.misses.push_back(now);
            self.missed.extend(kids.iter().map(|kid| (*kid, now)));
        }
    }
}
