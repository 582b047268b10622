//! Requests and signatures in the key store: asking, signing, listing, and using an approval up.

use super::{
    Actor, ApprovalError, Approved, ControlError, Entry, GuardedAct, KeyStore, Recorder, Request, Session, Signers,
    StoredRequest,
};
use crate::crypto::SIGNATURE_LENGTH;
use serde_json::{Value, json};
use uuid::Uuid;

/// Columns of a request, in the order of [`Row`].
const COLUMNS: &str = "request_id, act, subject, epoch, row_version, requested_by, \
    DATE_FORMAT(requested_at, '%Y-%m-%dT%H:%i:%s.%fZ'), DATE_FORMAT(expires_at, '%Y-%m-%dT%H:%i:%s.%fZ'), nonce, \
    used_at IS NOT NULL, expires_at <= UTC_TIMESTAMP(6)";

type Row = (u64, String, String, u64, u32, String, String, String, Vec<u8>, u8, u8);

/// How a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Open,
    Used,
    Expired,
}

/// A request with its signatures.
struct Filed {
    request: StoredRequest,
    condition: Condition,
    signatures: Vec<[u8; SIGNATURE_LENGTH]>,
}

/// What a signature did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose it is.
    pub signer: String,
    /// Signatures that count now.
    pub have: usize,
    /// Signatures that it takes.
    pub need: usize,
}

/// A request for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRequest {
    /// The request.
    pub request: StoredRequest,
    /// `open`, `approved`, `used`, `expired` or `outdated`.
    pub condition: &'static str,
    /// Who has signed and counts.
    pub signed_by: Vec<String>,
}

impl Filed {
    /// Whether the request can serve what is wanted, signatures apart.
    fn holds_for(&self, wanted: &Request) -> Result<(), ApprovalError> {
        let id = self.request.id;
        let asked = &self.request.request;
        self.is_open()?;
        if asked.epoch != wanted.epoch {
            return Err(ApprovalError::OtherEpoch { id, was: asked.epoch, is: wanted.epoch });
        }
        if asked.row_version != wanted.row_version {
            return Err(ApprovalError::OtherVersion { id, was: asked.row_version, is: wanted.row_version });
        }
        Ok(())
    }

    fn is_open(&self) -> Result<(), ApprovalError> {
        let id = self.request.id;
        match self.condition {
            Condition::Open => Ok(()),
            Condition::Used => Err(ApprovalError::Used { id }),
            Condition::Expired => Err(ApprovalError::Expired { id, at: self.request.expires_at.clone() }),
        }
    }
}

impl KeyStore {
    /// Demands the approval of an act inside the act's own transaction, and uses it up. Call it when everything else about
    /// the act is known to be right and before anything is changed; the caller has locked the epoch.
    ///
    /// # Errors
    /// [`ControlError::Approval`], with the reason. Nothing has been changed then.
    pub(in crate::control) async fn require_approval(
        &self,
        session: &mut Session,
        wanted: &Request,
        signers: &Signers,
    ) -> Result<Approved, ControlError> {
        if signers.threshold == 0 {
            return Ok(Approved { request: None, by: Vec::new() });
        }
        let Some(filed) = self.newest(session, wanted).await? else {
            let Request { act, subject, .. } = wanted;
            let (act, subject, threshold) = (act.name(), subject.clone(), signers.threshold);
            return Err(ApprovalError::Needed { act, subject, threshold }.into());
        };
        filed.holds_for(wanted)?;
        let id = filed.request.id;
        let by = filed.request.signed_by(&filed.signatures, signers);
        let (have, need) = (by.len(), signers.threshold);
        if have < need {
            return Err(ApprovalError::Short { id, have, need }.into());
        }
        let sql = format!(
            "UPDATE {}.approval_request SET used_at = UTC_TIMESTAMP(6) WHERE request_id = ? AND used_at IS NULL",
            self.schema
        );
        if session.change(&sql, (id,)).await?.rows != 1 {
            return Err(ApprovalError::Used { id }.into());
        }
        Ok(Approved { request: Some(id), by: by.into_iter().map(|signer| signer.name.clone()).collect() })
    }

    /// Files a request. The act is repeated when enough people have signed its text.
    pub async fn ask_for_approval(
        &self,
        wanted: &Request,
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<StoredRequest, ControlError> {
        let session = self.session("ask for an approval").await?;
        if signers.threshold == 0 {
            return Err(ApprovalError::NotConfigured.into());
        }
        session.transaction(async |session| self.file(session, wanted, signers, actor, recorder).await).await
    }

    async fn file(
        &self,
        session: &mut Session,
        wanted: &Request,
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<StoredRequest, ControlError> {
        let (deployment, _) = self.header(session).await?;
        let nonce = Uuid::new_v4().into_bytes();
        let sql = format!(
            "INSERT INTO {}.approval_request \
             (act, subject, epoch, row_version, requested_by, requested_at, expires_at, nonce) VALUES \
             (?, ?, ?, ?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL ? SECOND, ?)",
            self.schema
        );
        let Request { act, subject, epoch, row_version } = wanted;
        let lifetime = signers.lifetime.as_secs();
        let params = (act.name(), subject, epoch, row_version, actor.name(), lifetime, nonce.to_vec());
        let id = session.change(&sql, params).await?.id;
        let id = id.ok_or(ControlError::Malformed { what: "the number of an approval request" })?;
        let filed = self.filed(session, deployment, id).await?.request;
        let after = json!({
            "act": act.name(), "subject": subject, "epoch": epoch, "row_version": row_version,
            "expires_at": filed.expires_at, "threshold": signers.threshold, "signers": signers.names().collect::<Vec<_>>(),
        });
        recorder.append(session, &entry(actor, "approval.request", id, after)).await?;
        Ok(filed)
    }

    /// Files a signature over a request's text, and says how many there are now.
    pub async fn approve(
        &self,
        id: u64,
        signature: &[u8; SIGNATURE_LENGTH],
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<Signed, ControlError> {
        let session = self.session("file an approval").await?;
        session.transaction(async |session| self.sign(session, id, signature, signers, actor, recorder).await).await
    }

    async fn sign(
        &self,
        session: &mut Session,
        id: u64,
        signature: &[u8; SIGNATURE_LENGTH],
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<Signed, ControlError> {
        let (deployment, epoch) = self.header(session).await?;
        let mut filed = self.filed(session, deployment, id).await?;
        filed.is_open()?;
        let was = filed.request.request.epoch;
        if was != epoch {
            return Err(ApprovalError::OtherEpoch { id, was, is: epoch }.into());
        }
        let signer = filed.request.signer(signature, signers).ok_or(ApprovalError::UnknownSigner { id })?;
        let name = signer.name.to_string();
        if filed.request.is_asked_by(signer) {
            return Err(ApprovalError::OwnRequest { id, name }.into());
        }
        if filed.request.signed_by(&filed.signatures, signers).contains(&signer) {
            return Err(ApprovalError::AlreadySigned { id, name }.into());
        }
        let sql = format!(
            "INSERT INTO {}.approval_signature (request_id, signer, signature, signed_at) \
             VALUES (?, ?, ?, UTC_TIMESTAMP(6))",
            self.schema
        );
        session.change(&sql, (id, &name, signature.to_vec())).await?;
        let Request { act, subject, .. } = &filed.request.request;
        let after = json!({ "signer": name, "act": act.name(), "subject": subject });
        recorder.append(session, &entry(actor, "approval.sign", id, after)).await?;
        filed.signatures.push(*signature);
        let have = filed.request.signed_by(&filed.signatures, signers).len();
        Ok(Signed { signer: name, have, need: signers.threshold })
    }

    /// Uses an approval up for an act whose effect lies outside the key store, such as scheduling the deletion of a
    /// key-encryption key: the approval is gone before the act is tried, whatever becomes of it.
    pub async fn take_approval(
        &self,
        wanted: &Request,
        signers: &Signers,
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<Approved, ControlError> {
        let take = async |session: &mut Session| {
            let approved = self.require_approval(session, wanted, signers).await?;
            if let Some(id) = approved.request {
                let after =
                    json!({ "act": wanted.act.name(), "subject": wanted.subject, "approval": approved.facts() });
                recorder.append(session, &entry(actor, "approval.use", id, after)).await?;
            }
            Ok(approved)
        };
        self.session("use an approval").await?.transaction(take).await
    }

    /// The names of those who approved a request for that act and subject, if it was used up at that moment, for whoever
    /// holds a row against it: times in the text that was signed bound the moment.
    pub(in crate::control) async fn approved_at(
        &self,
        session: &mut Session,
        id: u64,
        (act, subject): (GuardedAct, String),
        at: &str,
        signers: &Signers,
    ) -> Result<Vec<String>, ControlError> {
        let (deployment, _) = self.header(session).await?;
        let Filed { request, signatures, .. } = self.filed(session, deployment, id).await?;
        let is_for = request.request.act == act && request.request.subject == subject;
        // Both are written in the same way, so that their order is that of their letters.
        if !is_for || at < request.requested_at.as_str() || at > request.expires_at.as_str() {
            return Ok(Vec::new());
        }
        Ok(request.signed_by(&signatures, signers).into_iter().map(|signer| signer.name.to_string()).collect())
    }

    /// Reads one request.
    pub async fn approval_request(&self, id: u64) -> Result<StoredRequest, ControlError> {
        let mut session = self.session("read an approval request").await?;
        let (deployment, _) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        Ok(self.filed(&mut session, deployment, id).await?.request)
    }

    /// Reads all requests, the newest first.
    pub async fn approval_requests(&self, signers: &Signers) -> Result<Vec<ListedRequest>, ControlError> {
        let mut session = self.session("list approval requests").await?;
        let (deployment, epoch) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let sql = format!("SELECT {COLUMNS} FROM {}.approval_request ORDER BY request_id DESC LIMIT 1000", self.schema);
        let rows: Vec<Row> = session.rows(&sql).await?;
        let mut listed = Vec::with_capacity(rows.len());
        for row in rows {
            let filed = self.with_signatures(&mut session, deployment, row).await?;
            let by = filed.request.signed_by(&filed.signatures, signers);
            let condition = match filed.condition {
                Condition::Used => "used",
                Condition::Expired => "expired",
                Condition::Open if filed.request.request.epoch != epoch => "outdated",
                Condition::Open if by.len() >= signers.threshold => "approved",
                Condition::Open => "open",
            };
            let signed_by = by.into_iter().map(|signer| signer.name.to_string()).collect();
            listed.push(ListedRequest { request: filed.request, condition, signed_by });
        }
        Ok(listed)
    }

    /// The newest request for an act on a subject, locked.
    async fn newest(&self, session: &mut Session, wanted: &Request) -> Result<Option<Filed>, ControlError> {
        let (deployment, _) = self.header(session).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM {}.approval_request WHERE act = ? AND subject = ? \
             ORDER BY request_id DESC LIMIT 1 FOR UPDATE",
            self.schema
        );
        let rows: Vec<Row> = session.rows_with(&sql, (wanted.act.name(), &wanted.subject)).await?;
        match rows.into_iter().next() {
            Some(row) => self.with_signatures(session, deployment, row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn filed(&self, session: &mut Session, deployment: Uuid, id: u64) -> Result<Filed, ControlError> {
        let sql = format!("SELECT {COLUMNS} FROM {}.approval_request WHERE request_id = ?", self.schema);
        let rows: Vec<Row> = session.rows_with(&sql, (id,)).await?;
        let row = rows.into_iter().next().ok_or(ApprovalError::NoSuchRequest { id })?;
        self.with_signatures(session, deployment, row).await
    }

    async fn with_signatures(&self, session: &mut Session, deployment: Uuid, row: Row) -> Result<Filed, ControlError> {
        let (id, act, subject, epoch, row_version, requested_by, requested_at, expires_at, nonce, used, expired) = row;
        let malformed = |what| ControlError::Malformed { what };
        let sql = format!("SELECT signature FROM {}.approval_signature WHERE request_id = ?", self.schema);
        let signatures: Vec<Vec<u8>> = session.rows_with(&sql, (id,)).await?;
        let request = Request { act: GuardedAct::stored(&act)?, subject, epoch, row_version };
        let nonce = nonce.try_into().map_err(|_| malformed("the nonce of an approval request"))?;
        let condition = match (used, expired) {
            (1, _) => Condition::Used,
            (_, 1) => Condition::Expired,
            (_, _) => Condition::Open,
        };
        Ok(Filed {
            request: StoredRequest { id, deployment, request, requested_by, requested_at, expires_at, nonce },
            condition,
            signatures: signatures.into_iter().filter_map(|bytes| bytes.try_into().ok()).collect(),
        })
    }
}

fn entry(actor: &Actor, act: &'static str, id: u64, after: Value) -> Entry {
    Entry { actor: actor.clone(), act, subject: format!("approval request {id}"), before: Value::Null, after }
}
