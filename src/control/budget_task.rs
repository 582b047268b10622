//! Keeps the counts of budgets in step with all proxies: tells the database what was shown, and fetches shares of what is
//! left. A database that does not answer ends nothing: the proxy counts alone meanwhile, and says so. A row that somebody
//! holds is the trouble of its account alone: it is counted by this proxy until the row is free, and the others wait for
//! nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::budget_store::Lock;
use super::budget_store::rows::RowsSettled;
use super::pool::COUNTING_MAX;
use super::{ControlError, KeyStore, Pool, SCHEMA, Signers};
use crate::budget::{Digests, Due, Elevated, Happening, Ledger, Notice, RowClaim, Settling, Span};

/// How often counts are looked after that nobody waits for.
const POLL: Duration = Duration::from_secs(1);
/// How often rows are deleted whose day is over.
const TIDY: Duration = Duration::from_secs(60);
/// How long the last counts may take when the proxy ends.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// From then on a round of questions asks for no row that was held before, and for nothing that nobody waits for: results
/// wait for the next round.
const ROUND_MAX: Duration = Duration::from_millis(500);

/// Told of what becomes of elevations.
type Tell = Box<dyn Fn(&Notice) + Send + Sync>;

/// What became of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// There was none, or nothing but rows that are held.
    Nothing,
    /// The database has answered.
    Answered,
    /// It has not.
    Failed,
}

/// The task. Run by the application's task tracker.
pub struct BudgetTask {
    store: KeyStore,
    ledger: Arc<Ledger>,
    signers: Signers,
    tell: Tell,
}

impl std::fmt::Debug for BudgetTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BudgetTask").field("signers", &self.signers).finish_non_exhaustive()
    }
}

impl BudgetTask {
    /// Makes the task. `signers` are those whose elevations count; `tell` is called with what becomes of elevations.
    pub fn new(
        pool: Pool,
        ledger: Arc<Ledger>,
        signers: Signers,
        tell: impl Fn(&Notice) + Send + Sync + 'static,
    ) -> Self {
        Self { store: KeyStore::new(pool, SCHEMA), ledger, signers, tell: Box::new(tell) }
    }

    /// Runs until the token is cancelled; shares that nobody used go back then.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
            () = self.tidy() => {}
        }
        if timeout(GOODBYE_MAX, self.settle(Settling::Everything)).await.is_err() {
            tracing::debug!("the last counts of budgets did not reach the database in time");
        }
        self.store.pool.close().await;
    }

    async fn serve(&self) {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refused = Vec::new();
        loop {
            let settling = tokio::select! {
                _ = poll.tick() => Settling::WhatRests,
                () = self.ledger.wanted() => Settling::WhatIsWanted,
            };
            match self.settle(settling).await {
                Settled::Answered => self.ledger.shared(),
                Settled::Nothing if !self.ledger.totals().shared => {
                    if self.store.reach_budgets().await.is_ok() {
                        self.ledger.shared();
                    }
                }
                Settled::Nothing | Settled::Failed => {}
            }
            if settling == Settling::WhatRests && self.signers.threshold() > 0 {
                self.read_elevations(&mut refused).await;
            }
        }
    }

    /// Deletes what is over, beside the counting: whoever is at it may wait for a row that is being written. Another proxy may
    /// be at it, too, and there is another time.
    async fn tidy(&self) {
        let mut tidy = interval(TIDY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tidy.tick().await;
            loop {
                match self.store.forget_rows().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(cause = error.chain(), "rows of days that are over cannot be deleted");
                        break;
                    }
                }
            }
        }
    }

    /// Takes elevations up, and lets go of those that are over. What was read last holds until its end if they cannot be
    /// read.
    async fn read_elevations(&self, refused_before: &mut Vec<u64>) {
        match self.store.elevations_now(&self.signers).await {
            Ok((believed, refused)) => {
                let is_new = |one: &&Elevated| !refused_before.contains(&one.request);
                refused
                    .iter()
                    .filter(is_new)
                    .map(|one| one.notice(Happening::NotBelieved))
                    .for_each(|new| self.tell(&new));
                *refused_before = refused.into_iter().map(|one| one.request).collect();
                self.ledger.elevate(believed, Instant::now()).iter().for_each(|new| self.tell(new));
            }
            Err(error) => tracing::debug!(cause = error.chain(), "elevations of budgets cannot be read"),
        }
    }

    /// Tells log and sinks.
    fn tell(&self, notice: &Notice) {
        let Notice { happening, request, account, factor } = notice;
        match happening {
            Happening::Begun => {
                let text = "the budget of an account is elevated";
                tracing::warn!(target: "candado::budget", alarm = true, %account, factor, request, "{text}");
            }
            Happening::Over => {
                let text = "the budget of an account is no longer elevated";
                tracing::warn!(target: "candado::budget", %account, request, "{text}");
            }
            Happening::NotBelieved => {
                let text = "an elevation of a budget is not believed: nobody has signed what the table says";
                tracing::error!(target: "candado::budget", alarm = true, request, "{text}");
            }
        }
        (self.tell)(notice);
    }

    /// Asks for everybody, a few at a time. A row that is held is its account's trouble; any other failure ends the round: the
    /// others would wait as long.
    async fn settle(&self, settling: Settling) -> Settled {
        let (began, mut settled, mut asking) = (Instant::now(), Settled::Nothing, JoinSet::new());
        let mut waiting = self.ledger.due(settling, began).into_iter();
        loop {
            while asking.len() < COUNTING_MAX
                && let Some(due) = waiting.next()
            {
                let is_late = began.elapsed() >= ROUND_MAX;
                if (is_late && can_wait(&due, settling)) || settled == Settled::Failed {
                    give_up(&due);
                } else {
                    asking.spawn(ask(self.store.clone(), due));
                }
            }
            let Some(asked) = asking.join_next().await else { return settled };
            // Who waits for one that panicked waits for a bounded time.
            let Ok((due, done)) = asked else { continue };
            match done {
                Ok(()) => {
                    if settled != Settled::Failed {
                        settled = Settled::Answered;
                    }
                    due.spending.shared();
                    due.spending.settled();
                }
                Err(error) if error.is_of_one_row() => {
                    due.spending.alone(&error.chain());
                    give_up(&due);
                }
                Err(error) => {
                    self.ledger.alone(&error.chain());
                    settled = Settled::Failed;
                    due.spending.settled();
                }
            }
        }
    }
}

/// Asks for one. Claims that are answered are no longer there.
async fn ask(store: KeyStore, mut due: Due) -> (Due, Result<(), ControlError>) {
    let lock = if due.spending.is_alone() { Lock::AtOnce } else { Lock::Awaited };
    while let Some(claim) = due.claims.first() {
        let asked = Instant::now();
        match store.settle_budget(&due.account, claim, lock).await {
            Ok(answer) => due.spending.answered(claim, &answer, asked),
            Err(error) if error.is_of_unknown_span() => {
                due.spending.unknown(claim.span, &error.chain());
                due.spending.not_taken(claim);
            }
            Err(error) => return (due, Err(error)),
        }
        due.claims.remove(0);
    }
    let began = Instant::now();
    let spending = due.spending.clone();
    let admit = |claim: &mut RowClaim, read: &Digests| spending.admit_rows(claim, read);
    while let Some(mut claim) = due.rows.take().filter(|_| began.elapsed() < ROUND_MAX) {
        let asked = Instant::now();
        match store.settle_rows(&due.account, &mut claim, lock, &admit).await {
            Ok(RowsSettled::Answered(answer)) => due.rows = due.spending.rows_answered(&claim, &answer, asked),
            Ok(RowsSettled::Unknown(error)) => due.spending.unknown(Span::Rows, &error.chain()),
            Err(error) => return (due, Err(error)),
        }
    }
    (due, Ok(()))
}

/// Whether these are left for the next round if one takes long.
fn can_wait(due: &Due, settling: Settling) -> bool {
    match settling {
        Settling::WhatIsWanted | Settling::WhatRests => due.spending.is_alone() || !due.is_wanted(),
        // There is no other round.
        Settling::Everything => due.spending.is_alone(),
    }
}

/// Nobody asks for these claims any more.
fn give_up(Due { spending, claims, .. }: &Due) {
    claims.iter().for_each(|claim| spending.not_taken(claim));
    spending.settled();
}
