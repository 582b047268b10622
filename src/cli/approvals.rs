//! `candado approvals` and `candado approve`: what waits for the approval of another person, and giving it.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args, Subcommand};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::account::Account;
use super::output::Output;
use super::table::table;
use super::{Failure, lock_memory, runtime};
use crate::app::{control_settings, operator, provider};
use crate::config::Settings;
use crate::control::{KeyStore, ListedRequest, Pool, Recorder, SCHEMA, Signed, StoredRequest, counted};
use crate::crypto::{SIGNATURE_LENGTH, SigningKey};

/// No key and no signature is longer.
const FILE_OCTETS_MAX: u64 = 16 * 1024;

/// What can be asked about approvals.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List requests, who has signed them, and whether they still count.
    #[command(after_help = "Examples:\n  candado approvals list --json")]
    List(ListArguments),
    /// Print the text of a request, byte for byte as it is signed.
    ///
    /// For signing with another program: read it, sign it, and hand the signature in with `candado approve --signature`.
    #[command(after_help = "Examples:\n  candado approvals show 12 > request.txt\n  \
        openssl pkeyutl -sign -rawin -inkey ben.pem -in request.txt -out request.sig\n  \
        candado approve 12 --signature request.sig")]
    Show(ShowArguments),
}

/// How requests are listed.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Which request is printed.
#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The request's number.
    request: u64,
    #[command(flatten)]
    account: Account,
}

/// Which request is approved.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("signing").required(true).args(["key", "signature"])))]
pub(super) struct ApproveArguments {
    /// The request's number, as the act printed it.
    request: u64,
    /// Your Ed25519 key, PKCS#8 in PEM: `openssl genpkey -algorithm ed25519 -out ben.pem`.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A signature over the text that `candado approvals show` prints: 64 bytes, or these in base64.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Show(arguments) => show(arguments),
    }
}

/// Signs a request, or hands a signature in.
pub(super) fn approve(arguments: &ApproveArguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    lock_memory(&settings)?;
    let signing = match (&arguments.key, &arguments.signature) {
        (Some(path), _) => Signing::Key(key(path)?),
        (None, Some(path)) => Signing::Done(signature(path)?),
        (None, None) => return Err(Failure::Usage(anyhow!("give --key or --signature"))),
    };
    let (text, signed) = with_store(&settings, async |store| {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let recorder = Recorder::open(store, provider.unwrapper.as_ref()).await;
        let recorder = recorder.context("an approval cannot be recorded, so none is given")?;
        let actor = store.actor(&operator()).await.context("the key store cannot be used")?;
        let text = store.approval_request(arguments.request).await?.text();
        let signature = match signing {
            Signing::Key(key) => key.sign(text.as_bytes()).context("the key cannot sign")?,
            Signing::Done(signature) => signature,
        };
        let signed = store.approve(arguments.request, &signature, &settings.approval, &actor, &recorder).await?;
        Ok((text, signed))
    })?;
    let output = Output::new();
    let Signed { signer, have, need } = &signed;
    if arguments.json {
        let approved = have >= need;
        output.json(&json!({ "signer": signer, "have": have, "need": need, "approved": approved, "text": text }))?
    } else {
        let next = if have >= need { "the act can be repeated now" } else { "more signatures are needed" };
        output.line(format!("{text}\nsigned by {signer}: {have} of {need} signatures; {next}"))?
    }
    Ok(())
}

enum Signing {
    Key(SigningKey),
    Done([u8; SIGNATURE_LENGTH]),
}

/// What is said of a request that a verb has just filed.
pub(super) fn asked(request: &StoredRequest) -> String {
    let StoredRequest { id, expires_at, .. } = request;
    format!(
        "asked for approval as request {id}, which holds until {expires_at}: when `candado approve {id}` has been run by \
         enough people, run the same command again"
    )
}

fn key(path: &Path) -> Result<SigningKey, Failure> {
    let pem = read(path)?;
    let what = "is no Ed25519 key in PEM (PKCS#8, without a pass phrase)";
    SigningKey::from_pem(&pem).ok_or_else(|| Failure::Usage(anyhow!("{} {what}", path.display())))
}

/// 64 bytes, or their base64.
fn signature(path: &Path) -> Result<[u8; SIGNATURE_LENGTH], Failure> {
    let bytes = read(path)?;
    let decoded = BASE64.decode(bytes.trim_ascii()).ok().and_then(|bytes| bytes.try_into().ok());
    let signature = bytes.as_slice().try_into().ok().or(decoded);
    signature.ok_or_else(|| Failure::Usage(anyhow!("{} is no Ed25519 signature", path.display())))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    use std::io::Read;
    let told = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(told).map_err(Failure::Usage)?;
    // Large enough from the start, so that no copy of a key stays behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_OCTETS_MAX).unwrap_or_default()));
    file.take(FILE_OCTETS_MAX).read_to_end(&mut bytes).with_context(told).map_err(Failure::Usage)?;
    Ok(bytes)
}

fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let request = with_store(&settings, async |store| Ok(store.approval_request(arguments.request).await?))?;
    // The line feed at the end belongs to the text.
    let text = request.text();
    Ok(Output::new().line(text.trim_end_matches('\n'))?)
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let listed = with_store(&settings, async |store| Ok(store.approval_requests(&settings.approval).await?))?;
    let output = Output::new();
    if arguments.json {
        let requests: Vec<Value> = listed.iter().map(document).collect();
        output.json(&json!({ "threshold": settings.approval.threshold(), "requests": requests }))?
    } else {
        output.line(list_text(&listed, settings.approval.threshold()))?
    }
    Ok(())
}

fn with_store<T>(settings: &Settings, work: impl AsyncFnOnce(&KeyStore) -> anyhow::Result<T>) -> Result<T, Failure> {
    let outcome = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(settings));
        let outcome = work(&KeyStore::new(pool.clone(), SCHEMA)).await;
        pool.close().await;
        outcome
    });
    Ok(outcome?)
}

fn document(listed: &ListedRequest) -> Value {
    let request = &listed.request;
    json!({
        "request": request.id, "act": request.request.act.name(), "subject": request.request.subject,
        "epoch": request.request.epoch, "row_version": request.request.row_version,
        "requested_by": request.requested_by, "requested_at": request.requested_at, "expires_at": request.expires_at,
        "nonce": HEXLOWER.encode(&request.nonce), "condition": listed.condition, "signed_by": listed.signed_by,
        "text": request.text(),
    })
}

fn list_text(listed: &[ListedRequest], threshold: usize) -> String {
    let headings = ["request", "act", "on", "asked by", "expires (UTC)", "condition", "signed by"];
    let rows = listed.iter().map(|listed| {
        let request = &listed.request;
        [
            request.id.to_string(),
            request.request.act.to_string(),
            request.request.subject.clone(),
            request.requested_by.clone(),
            request.expires_at.get(..19).unwrap_or(&request.expires_at).replace('T', " "),
            listed.condition.to_owned(),
            listed.signed_by.join(", "),
        ]
    });
    let table = table(headings, rows, "no approval was asked for");
    match threshold {
        0 => format!("{table}\nno approval is demanded: [approval] sets no threshold"),
        threshold => format!("{table}\na request needs {}", counted(threshold, "signature", "signatures")),
    }
}
