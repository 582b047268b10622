//! Keeps the counts of budgets in step with all proxies: tells the database what was shown, and fetches shares of what is
//! left. A database that does not answer ends nothing: the proxy counts alone meanwhile, and says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{ControlError, KeyStore, Signers};
use crate::budget::{Due, Ledger, Settling};

/// How often counts are looked after that nobody waits for.
const POLL: Duration = Duration::from_secs(1);
/// How long the last counts may take when the proxy ends.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What became of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// There was none.
    Nothing,
    /// The database answered them all.
    All,
    /// It did not.
    Failed,
}

/// The task. Run by the application's task tracker.
#[derive(Debug)]
pub struct BudgetTask {
    store: KeyStore,
    ledger: Arc<Ledger>,
    signers: Signers,
}

impl BudgetTask {
    /// Makes the task. `signers` are those whose elevations count.
    pub fn new(store: KeyStore, ledger: Arc<Ledger>, signers: Signers) -> Self {
        Self { store, ledger, signers }
    }

    /// Runs until the token is cancelled; shares that nobody used go back then.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
        }
        if timeout(GOODBYE_MAX, self.settle(Settling::Everything)).await.is_err() {
            tracing::debug!("the last counts of budgets did not reach the database in time");
        }
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
                Settled::All => self.ledger.shared(),
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

    /// Takes elevations up, and lets go of those that are over. What was read last holds until its end if they cannot be
    /// read.
    async fn read_elevations(&self, refused_before: &mut Vec<u64>) {
        match self.store.elevations_now(&self.signers).await {
            Ok((believed, refused)) => {
                for request in refused.iter().filter(|request| !refused_before.contains(request)) {
                    tracing::error!(
                        target: "candado::budget",
                        alarm = true,
                        request,
                        "an elevation of a budget is not believed: nobody has signed what the table says"
                    );
                }
                *refused_before = refused;
                self.ledger.elevate(believed);
            }
            Err(error) => tracing::debug!(cause = error.chain(), "elevations of budgets cannot be read"),
        }
    }

    /// Asks for everybody. The first failure ends it: the others would wait as long.
    async fn settle(&self, settling: Settling) -> Settled {
        let mut settled = Settled::Nothing;
        for due in self.ledger.due(settling, Instant::now()) {
            if settled != Settled::Failed {
                settled = match self.settle_one(&due).await {
                    Ok(()) => Settled::All,
                    Err(error) => {
                        self.ledger.alone(&error.chain());
                        Settled::Failed
                    }
                };
            }
            due.spending.settled();
        }
        settled
    }

    async fn settle_one(&self, Due { account, spending, claims }: &Due) -> Result<(), ControlError> {
        for claim in claims {
            let asked = Instant::now();
            let answer = self.store.settle_budget(account, claim).await?;
            spending.answered(claim, &answer, asked);
        }
        Ok(())
    }
}
