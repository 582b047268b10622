//! What a proxy does with each answer that a key service can give, at its start and while it runs:
//! an outage is waited out with the keys that are there, a refusal that lasts takes them away, and both end by themselves.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use candado::control::{Initialisation, KeysMissing, KeysState, Revalidation};
use candado::policy::ColumnId;
use tokio::task::JoinSet;

use crate::fakekms::{Fault, State};
use crate::support::key_task::{Running, opens, sealed};
use crate::support::keys::{Setup, policy};
use crate::support::on_each_server;
use crate::support::proxy::wait_until;
use crate::support::server::Kind;
use crate::support::shop::bounded;

on_each_server!(
    each_answer_at_the_start,
    each_answer_while_running,
    keys_go_when_the_grace_is_over,
    a_refused_key_takes_its_own_columns_away_alone,
    a_refusal_that_is_taken_back_in_time_changes_nothing,
);

/// Short, so that a test sees several rounds.
const QUICK: Revalidation = Revalidation { every: Duration::from_secs(1), grace: Duration::from_secs(24 * 3600) };

/// What is wrong with the key service.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Fault(Fault),
    Down,
    State(State),
    Policy,
}

/// What a proxy makes of it while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    Stay,
    Go,
}

const ANSWERS: [(Wrong, KeysMissing, Keys); 14] = {
    use KeysMissing::{ProviderRefuses, ProviderUnavailable};
    const fn refusal(kind: &'static str) -> Wrong {
        Wrong::Fault(Fault::Refusal(kind))
    }
    [
        (Wrong::Fault(Fault::Throttle), ProviderUnavailable, Keys::Stay),
        (Wrong::Fault(Fault::Internal), ProviderUnavailable, Keys::Stay),
        (Wrong::Fault(Fault::DependencyTimeout), ProviderUnavailable, Keys::Stay),
        (Wrong::Fault(Fault::KeyUnavailable), ProviderUnavailable, Keys::Stay),
        (Wrong::Fault(Fault::Html502), ProviderUnavailable, Keys::Stay),
        (Wrong::Fault(Fault::Hang), ProviderUnavailable, Keys::Stay),
        (Wrong::Down, ProviderUnavailable, Keys::Stay),
        // Neither an outage nor a refusal: it says nothing about the keys.
        (Wrong::Fault(Fault::Garbage), ProviderUnavailable, Keys::Stay),
        (Wrong::State(State::Disabled), ProviderRefuses, Keys::Go),
        (Wrong::State(State::PendingDeletion), ProviderRefuses, Keys::Go),
        (Wrong::Policy, ProviderRefuses, Keys::Go),
        (refusal("NotFoundException"), ProviderRefuses, Keys::Go),
        (refusal("IncorrectKeyException"), ProviderRefuses, Keys::Go),
        (refusal("InvalidCiphertextException"), ProviderRefuses, Keys::Go),
    ]
};

impl Wrong {
    fn inject(self, setup: &Setup) {
        match self {
            Self::Fault(fault) => setup.fake.fail_always(Some(fault)),
            Self::Down => setup.fake.go_down(),
            Self::State(state) => setup.fake.set_state(&setup.kek.reference, state),
            Self::Policy => setup.fake.allow("PROXY", &["DescribeKey"]),
        }
    }

    fn mend(self, setup: &Setup) {
        match self {
            Self::Fault(_) => setup.fake.fail_always(None),
            Self::Down => setup.fake.come_up(),
            Self::State(_) => setup.fake.set_state(&setup.kek.reference, State::Enabled),
            Self::Policy => setup.fake.allow("PROXY", &["Decrypt", "DescribeKey"]),
        }
    }
}

/// Runs a test for each answer, all at once.
async fn for_each_answer<T>(kind: Kind, test: impl Fn(Setup, Wrong, KeysMissing, Keys) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut tests = JoinSet::new();
    for (wrong, class, keys) in ANSWERS {
        let setup = Setup::new(kind).await;
        setup.init(&policy(&[("contact", true)])).await.unwrap();
        tests.spawn(test(setup, wrong, class, keys));
    }
    while let Some(ended) = tests.join_next().await {
        ended.unwrap();
    }
}

async fn each_answer_at_the_start(kind: Kind) {
    for_each_answer(kind, async |setup, wrong, class, _| {
        wrong.inject(&setup);
        let mut running = Running::new(&setup, policy(&[("contact", true)]));
        running.reaches(KeysState::Missing(class)).await;
        assert!(!running.rings.has_changed().unwrap(), "{wrong:?}: nothing was published");
        wrong.mend(&setup);
        running.ready().await;
        running.end().await;
    })
    .await;
}

async fn each_answer_while_running(kind: Kind) {
    for_each_answer(kind, async |setup, wrong, _, keys| {
        let policy = policy(&[("contact", true)]);
        let mut running = Running::with_revalidation(&setup, policy.clone(), QUICK);
        let envelope = sealed(&*running.ready().await);
        wrong.inject(&setup);
        match keys {
            Keys::Stay => {
                // Several questions have had no answer by then.
                running.unproved_for(QUICK.every * 3).await;
                assert_eq!(*running.state.borrow(), KeysState::Ready, "{wrong:?}");
                assert!(opens(&running.newest().unwrap(), &policy, &envelope), "{wrong:?}");
                assert_eq!((running.vitals.lost(), running.vitals.refusals()), (0, 0), "{wrong:?}");
                wrong.mend(&setup);
                // The oldest one was older before.
                running.proved_within(QUICK.every * 3).await;
            }
            Keys::Go => {
                running.reaches(KeysState::Missing(KeysMissing::ProviderRefuses)).await;
                assert!(running.newest().is_none(), "{wrong:?}: the ring is gone, not only marked");
                // One of the two may still be in question.
                assert!(running.vitals.lost() >= 1 && running.vitals.refusals() >= 3, "{wrong:?}");
                wrong.mend(&setup);
                assert!(opens(&*running.ready().await, &policy, &envelope), "{wrong:?}");
            }
        }
        running.end().await;
    })
    .await;
}

async fn keys_go_when_the_grace_is_over(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true)]);
    setup.init(&policy).await.unwrap();
    let grace = Revalidation { grace: Duration::from_secs(4), ..QUICK };
    let mut running = Running::with_revalidation(&setup, policy.clone(), grace);
    let envelope = sealed(&*running.ready().await);
    setup.fake.go_down();
    running.reaches(KeysState::Missing(KeysMissing::ProviderUnavailable)).await;
    assert!(running.newest().is_none());
    assert_eq!(running.vitals.refusals(), 0);
    setup.fake.come_up();
    assert!(opens(&*running.ready().await, &policy, &envelope));
    running.end().await;
}

async fn a_refused_key_takes_its_own_columns_away_alone(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.init(&policy(&[("contact", true)])).await.unwrap();
    let both = policy(&[("contact", true), ("credentials", false)]);
    let with = Initialisation { kek: &setup.second, ..setup.initialisation(&both) };
    setup.security().init(with).await.unwrap();
    let mut running = Running::with_revalidation(&setup, both.clone(), QUICK);
    let envelope = sealed(&*running.ready().await);
    setup.fake.set_state(&setup.second.reference, State::Disabled);
    let has = |column| {
        move |ring: &Option<std::sync::Arc<candado::keys::KeyRing>>| {
            ring.as_ref().is_some_and(|ring| ring.column(ColumnId(column)).is_some())
        }
    };
    bounded(running.rings.wait_for(|ring| !has(1)(ring))).await.unwrap();
    let left = running.newest().unwrap();
    assert!(has(0)(&Some(left.clone())) && opens(&left, &both, &envelope));
    assert_eq!(*running.state.borrow(), KeysState::Ready, "the other columns are served");
    setup.fake.set_state(&setup.second.reference, State::Enabled);
    bounded(running.rings.wait_for(has(1))).await.unwrap();
    running.end().await;
}

async fn a_refusal_that_is_taken_back_in_time_changes_nothing(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    setup.init(&policy).await.unwrap();
    let mut running = Running::with_revalidation(&setup, policy, QUICK);
    let ring = running.ready().await;
    let before = running.rings.borrow_and_update().clone();
    setup.fake.fail_next(&[Fault::Refusal("AccessDeniedException"), Fault::Refusal("AccessDeniedException")]);
    tokio::task::block_in_place(|| wait_until("both refusals came", || running.vitals.refusals() == 2));
    running.proved_within(QUICK.every).await;
    assert!(before.is_some_and(|before| std::sync::Arc::ptr_eq(&before, &ring)));
    assert!(!running.rings.has_changed().unwrap(), "no other ring was published");
    assert_eq!(running.vitals.lost(), 0);
    running.end().await;
}
