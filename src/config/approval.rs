//! `[approval]` as written, and the way from there to the checked [`Signers`].

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::control::{LIFETIME, Signer, Signers};
use crate::crypto::VerifyingKey;
use crate::policy::written::Text;

const HOUR_S: u64 = 3600;
/// A week: what nobody has signed by then is asked for anew.
const LIFETIME_MAX_H: u64 = 168;
const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenApproval {
    #[serde(default)]
    signers: Vec<WrittenSigner>,
    threshold: Option<Spanned<usize>>,
    lifetime_h: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSigner {
    name: Spanned<String>,
    key: Spanned<String>,
}

/// Who approves. Without the section nobody does.
pub(super) fn approval(text: &mut Text<'_>, written: Option<Spanned<WrittenApproval>>) -> Signers {
    let Some(written) = written else { return Signers::none() };
    let at = written.span();
    let written = written.into_inner();
    let lifetime = written.lifetime_h.map_or(LIFETIME, |hours| {
        if !(1..=LIFETIME_MAX_H).contains(hours.get_ref()) {
            text.wrong(&hours.span(), format!("{} is out of bounds: 1 to {LIFETIME_MAX_H}", hours.get_ref()));
        }
        Duration::from_secs(hours.get_ref().saturating_mul(HOUR_S))
    });
    let signers: Vec<Signer> = written.signers.iter().filter_map(|signer| one(text, signer)).collect();
    let threshold = written.threshold.as_ref().map_or(0, |threshold| *threshold.get_ref());
    if threshold > written.signers.len() {
        let at = written.threshold.as_ref().map_or(at, Spanned::span);
        text.wrong(&at, format!("{threshold} signatures cannot come from {} signers", written.signers.len()));
        return Signers::none();
    }
    if signers.len() < written.signers.len() {
        return Signers::none();
    }
    Signers::new(signers, threshold, lifetime).unwrap_or_else(|| {
        text.wrong(&at, "two signers have one name or one key: each counts once, so each needs his own");
        Signers::none()
    })
}

fn one(text: &mut Text<'_>, written: &WrittenSigner) -> Option<Signer> {
    let name = written.name.get_ref();
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !fits {
        text.wrong(&written.name.span(), format!("a signer's name has 1 to {NAME_CHARS_MAX} characters"));
    }
    let key = VerifyingKey::from_base64(written.key.get_ref());
    if key.is_none() {
        text.wrong(
            &written.key.span(),
            "no Ed25519 public key in base64: give the line between BEGIN and END of `openssl pkey -in KEY -pubout`",
        );
    }
    key.filter(|_| fits).map(|key| Signer { name: name.as_str().into(), key })
}
