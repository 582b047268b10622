//! A request as it is stored, and the text that approvers sign. Pure.

use data_encoding::HEXLOWER;
use uuid::Uuid;

use super::{GuardedAct, Request, Signer, Signers};
use crate::crypto::SIGNATURE_LENGTH;

/// First line of the signed text. A signature over anything else approves nothing.
const HEADING: &str = "candado approval request 1";

/// A request of the key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// Its number.
    pub id: u64,
    /// The deployment that it belongs to.
    pub deployment: Uuid,
    /// What is wanted.
    pub request: Request,
    /// Who asks.
    pub requested_by: String,
    /// When, UTC.
    pub requested_at: String,
    /// Until when it may be used, UTC.
    pub expires_at: String,
    /// Makes every request another one.
    pub nonce: [u8; 16],
}

impl StoredRequest {
    /// The text that is signed, byte for byte: lines that end in a line feed, the last one too. Control characters and
    /// backslashes in names are escaped, so that no name can add a line.
    pub fn text(&self) -> String {
        let Request { act, subject, epoch, row_version } = &self.request;
        let mut text = format!("{HEADING}\n");
        let lines = [
            ("deployment", self.deployment.hyphenated().to_string()),
            ("request", self.id.to_string()),
            ("act", act.name().to_owned()),
            ("subject", escaped(subject)),
            ("epoch", epoch.to_string()),
            ("row-version", row_version.to_string()),
            ("requested-by", escaped(&self.requested_by)),
            ("requested-at", self.requested_at.clone()),
            ("expires-at", self.expires_at.clone()),
            ("nonce", HEXLOWER.encode(&self.nonce)),
        ];
        for (name, value) in lines {
            text.extend([name, " ", &value, "\n"]);
        }
        text
    }

    /// The configured signer whose signature this is.
    pub(super) fn signer<'a>(&self, signature: &[u8; SIGNATURE_LENGTH], signers: &'a Signers) -> Option<&'a Signer> {
        let text = self.text();
        signers.signers.iter().find(|signer| signer.key.verifies(text.as_bytes(), signature))
    }

    /// The signers whose signatures count: each once, and never the one who asked. Signatures that are nobody's are
    /// passed over: the key store is not believed.
    pub(super) fn signed_by<'a>(&self, signatures: &[[u8; SIGNATURE_LENGTH]], signers: &'a Signers) -> Vec<&'a Signer> {
        let text = self.text();
        let signed = |signer: &&Signer| {
            !self.is_asked_by(signer)
                && signatures.iter().any(|signature| signer.key.verifies(text.as_bytes(), signature))
        };
        signers.signers.iter().filter(signed).collect()
    }

    /// Whether the person who asked, as the system of his machine knew him, bears the signer's name. He could have used
    /// another machine: what protects is that keys are distinct and each has one owner.
    pub(super) fn is_asked_by(&self, signer: &Signer) -> bool {
        self.requested_by.ends_with(&format!("(os: {})", signer.name))
            || self.requested_by.ends_with(&format!(" for {})", signer.name))
    }
}

impl GuardedAct {
    /// The act of a stored request.
    pub(super) fn stored(name: &str) -> Result<Self, super::ControlError> {
        Self::from_name(name).ok_or(super::ControlError::Malformed { what: "the act of an approval request" })
    }
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() || letter == '\\' || letter == '\u{2028}' || letter == '\u{2029}' {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text
}
