//! Break-glass: a budget that is greater for a while, for a reason, and by the approval of a second person.
//!
//! A proxy holds no key that could authenticate rows of the key store, and believes none. What makes an elevation count are
//! signatures of the people that its own configuration names, over the text of the request, in which account, factor, minutes
//! and reason stand. A row that says anything else than what was signed counts for nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::approval::{ApprovalError, GuardedAct, Request, Signers};
use super::record::{Actor, Entry, Recorder};
use super::{ControlError, KeyStore, Session};
use crate::budget::{Elevated, Span};

/// The greatest factor.
pub const FACTOR_MAX: u32 = 1_000;
/// The longest time, a day.
pub const MINUTES_MAX: u32 = 1_440;
/// Elevations that are looked at.
const ELEVATIONS_MAX: u32 = 200;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    /// The account, `user@host`.
    pub account: String,
    /// How many times as much it may be shown.
    pub factor: u32,
    /// For how long, from the moment at which it is approved and carried out.
    pub minutes: u32,
    /// Why.
    pub reason: String,
}

/// An elevation of the key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedElevation {
    /// The request that was approved.
    pub request: u64,
    /// What was approved.
    pub elevation: Elevation,
    /// When it began, UTC.
    pub began_at: String,
    /// When it ends, UTC.
    pub ends_at: String,
    /// How it stands.
    pub condition: ElevationCondition,
    /// Who approved it and counts.
    pub approved_by: Vec<String>,
}

/// How an elevation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElevationCondition {
    /// It holds.
    Running,
    /// Its time is over.
    Over,
    /// No proxy with these signers believes it.
    Refused,
}

impl ElevationCondition {
    /// In lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Over => "over",
            Self::Refused => "refused",
        }
    }
}

/// What an account has been shown in a minute or a day, or has searched for in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedWindow {
    /// The account, `user@host`.
    pub account: String,
    /// `minute`, `day` or `searches`.
    pub span: String,
    /// When it began, UTC.
    pub began_at: String,
    /// Cells, or values to search for, that proxies have been given.
    pub taken: u64,
}

/// Request, account, factor, minutes, reason, begin, end, microseconds that are left of the minutes.
type Row = (u64, String, u32, u32, String, String, String, i64);

impl Elevation {
    /// In the words that approvers sign. Quoted, so that no account and no reason can say something else.
    fn subject(&self) -> String {
        let Self { account, factor, minutes, reason } = self;
        format!("budget of {account:?}, times {factor} for {minutes} minutes, because of {reason:?}")
    }

    fn is_bounded(&self) -> bool {
        (2..=FACTOR_MAX).contains(&self.factor) && (1..=MINUTES_MAX).contains(&self.minutes)
    }
}

impl KeyStore {
    /// Elevates a budget, if enough people have approved exactly this. Returns when it ends, UTC.
    ///
    /// # Errors
    /// [`ControlError::Approval`] with the reason why there is no approval; always where no signers are configured.
    pub async fn elevate_budget(
        &self,
        elevation: &Elevation,
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<String, ControlError> {
        let session = self.session("elevate a budget").await?;
        if signers.threshold() == 0 {
            return Err(ApprovalError::NotConfigured.into());
        }
        let elevate = async |session: &mut Session| {
            let wanted = self.elevation_request(session, elevation).await?;
            let approved = self.require_approval(session, &wanted, signers).await?;
            let id = approved.request().ok_or(ApprovalError::NotConfigured)?;
            let ends_at = self.put_elevation(session, elevation, id).await?;
            let Elevation { account, factor, minutes, reason } = elevation;
            let entry = Entry {
                actor: actor.clone(),
                act: "budget.elevate",
                subject: format!("budget of {account}"),
                before: Value::Null,
                after: json!({
                    "factor": factor, "minutes": minutes, "reason": reason, "ends_at": ends_at,
                    "approval": approved.facts(),
                }),
            };
            recorder.append(session, &entry).await?;
            Ok(ends_at)
        };
        session.transaction(elevate).await
    }

    /// The request that is to be approved, as of now.
    pub async fn wanted_elevation(&self, elevation: &Elevation) -> Result<Request, ControlError> {
        let mut session = self.session("ask for an elevation").await?;
        self.elevation_request(&mut session, elevation).await
    }

    async fn elevation_request(&self, session: &mut Session, elevation: &Elevation) -> Result<Request, ControlError> {
        let (_, epoch) = self.header(session).await.map_err(ControlError::or_not_initialised)?;
        Ok(Request { act: GuardedAct::ElevateBudget, subject: elevation.subject(), epoch, row_version: 0 })
    }

    async fn put_elevation(
        &self,
        session: &mut Session,
        elevation: &Elevation,
        request: u64,
    ) -> Result<String, ControlError> {
        let Elevation { account, factor, minutes, reason } = elevation;
        let insert = format!(
            "INSERT INTO {schema}.budget_elevation \
             (request_id, account, factor, minutes, reason, began_at, ends_at) \
             SELECT request_id, ?, ?, ?, ?, used_at, used_at + INTERVAL ? MINUTE FROM {schema}.approval_request \
             WHERE request_id = ?",
            schema = self.schema
        );
        session.change(&insert, (account, factor, minutes, reason, minutes, request)).await?;
        let select = format!(
            "SELECT DATE_FORMAT(ends_at, '%Y-%m-%dT%H:%i:%s.%fZ') FROM {}.budget_elevation WHERE request_id = ?",
            self.schema
        );
        let ends: Vec<String> = session.rows_with(&select, (request,)).await?;
        ends.into_iter().next().ok_or(ControlError::Malformed { what: "an elevation" })
    }

    /// Elevations that hold now, for a proxy; and those that would, if somebody had signed them.
    pub(super) async fn elevations_now(
        &self,
        signers: &Signers,
    ) -> Result<(Vec<Elevated>, Vec<Elevated>), ControlError> {
        let asked = Instant::now();
        let mut session = self.session("read elevations of budgets").await?;
        let rows = self.elevation_rows(&mut session, "WHERE ends_at > UTC_TIMESTAMP(6)").await?;
        let (mut believed, mut refused) = (Vec::new(), Vec::new());
        for row in rows {
            let left = u64::try_from(row.7).unwrap_or_default();
            let ListedElevation { request, elevation, condition, .. } =
                self.listed_elevation(&mut session, row, signers).await?;
            let until = asked + Duration::from_micros(left);
            let elevated = Elevated { request, account: elevation.account.into(), factor: elevation.factor, until };
            match condition {
                ElevationCondition::Running => believed.push(elevated),
                ElevationCondition::Over => {}
                ElevationCondition::Refused => refused.push(elevated),
            }
        }
        Ok((believed, refused))
    }

    /// All elevations, the newest first, as proxies with these signers see them; and what accounts have been shown.
    pub async fn list_budgets(
        &self,
        signers: &Signers,
    ) -> Result<(Vec<ListedElevation>, Vec<ListedWindow>), ControlError> {
        let mut session = self.session("list budgets").await?;
        let rows = self.elevation_rows(&mut session, "").await?;
        let mut elevations = Vec::with_capacity(rows.len());
        for row in rows {
            elevations.push(self.listed_elevation(&mut session, row, signers).await?);
        }
        let length = |span: Span| format!("WHEN '{}' THEN {}", span.name(), span.length().as_secs());
        let lengths = Span::ALL.map(length).join(" ");
        let sql = format!(
            "SELECT account, span, DATE_FORMAT(began_at, '%Y-%m-%dT%H:%i:%s.%fZ'), taken FROM {}.budget_window \
             WHERE began_at + INTERVAL CASE span {lengths} END SECOND > UTC_TIMESTAMP(6) \
             ORDER BY taken DESC LIMIT 1000",
            self.schema
        );
        let rows: Vec<(String, String, String, u64)> = session.rows(&sql).await?;
        let window = |(account, span, began_at, taken)| ListedWindow { account, span, began_at, taken };
        Ok((elevations, rows.into_iter().map(window).collect()))
    }

    async fn elevation_rows(&self, session: &mut Session, which: &'static str) -> Result<Vec<Row>, ControlError> {
        let sql = format!(
            "SELECT request_id, account, factor, minutes, reason, DATE_FORMAT(began_at, '%Y-%m-%dT%H:%i:%s.%fZ'), \
             DATE_FORMAT(ends_at, '%Y-%m-%dT%H:%i:%s.%fZ'), TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), \
             LEAST(ends_at, began_at + INTERVAL minutes MINUTE)) FROM {}.budget_elevation {which} \
             ORDER BY request_id DESC LIMIT {ELEVATIONS_MAX}",
            self.schema
        );
        session.rows(&sql).await
    }

    /// Holds a row against what was signed.
    async fn listed_elevation(
        &self,
        session: &mut Session,
        (request, account, factor, minutes, reason, began_at, ends_at, left): Row,
        signers: &Signers,
    ) -> Result<ListedElevation, ControlError> {
        let elevation = Elevation { account, factor, minutes, reason };
        let wanted = (GuardedAct::ElevateBudget, elevation.subject());
        let approved_by = match self.approved_at(session, request, wanted, &began_at, signers).await {
            Ok(names) => names,
            // There is no such request, or it is one that nobody could have filed.
            Err(ControlError::Approval(_) | ControlError::Malformed { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let counts = signers.threshold() > 0 && approved_by.len() >= signers.threshold() && elevation.is_bounded();
        let condition = match (counts, left > 0) {
            (true, true) => ElevationCondition::Running,
            (true, false) => ElevationCondition::Over,
            (false, _) => ElevationCondition::Refused,
        };
        Ok(ListedElevation { request, elevation, began_at, ends_at, condition, approved_by })
    }
}
