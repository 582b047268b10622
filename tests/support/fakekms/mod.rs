//! A key service for tests that speaks AWS KMS's JSON 1.1 over HTTP and enforces what a revocation test needs: key
//! states, the encryption context, the pinned key id and a policy per principal. Faults are switched on from outside.
//!
//! It does not check request signatures: the access key id in the Authorization header is the principal. Keys live in
//! memory and end with the value. It runs on a thread of its own, so tests with and without a runtime can use it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support")]
#![allow(dead_code, reason = "not every test uses every switch")]

mod keys;
mod operations;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use keys::State;
use operations::Service;

/// The largest request that KMS takes is far below this.
const BODY_OCTETS_MAX: usize = 64 * 1024;

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    kind: String,
    message: String,
}

impl Failure {
    /// An error that the client caused.
    pub(crate) fn client(kind: &str, message: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: kind.to_owned(), message: message.to_owned() }
    }
}

/// A role of keys-policy/aws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Opens keys of columns.
    Proxy,
    /// Makes and rewraps keys of columns, makes and opens the audit key.
    Security,
    /// Opens keys of columns and the audit key.
    Backfill,
    /// Opens the audit key.
    Auditor,
    /// Rewraps the audit key.
    Custodian,
}

/// What the service does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// ThrottlingException, 400.
    Throttle,
    /// KMSInternalException, 500.
    Internal,
    /// DependencyTimeoutException, 500.
    DependencyTimeout,
    /// KeyUnavailableException, 500.
    KeyUnavailable,
    /// 502 with a page of HTML, as a proxy in between sends it.
    Html502,
    /// The request is read and never answered.
    Hang,
    /// 200 with something that is not JSON.
    Garbage,
    /// The exception of that name, 400.
    Refusal(&'static str),
}

#[derive(Debug, Default)]
struct Counts {
    by_operation: HashMap<String, usize>,
    by_key: HashMap<String, usize>,
}

#[derive(Debug)]
struct Shared {
    service: Mutex<Service>,
    next_faults: Mutex<VecDeque<Fault>>,
    lasting_fault: Mutex<Option<Fault>>,
    counts: Mutex<Counts>,
    counted: Condvar,
    held: watch::Sender<bool>,
}

enum Order {
    Down(mpsc::Sender<()>),
    Up(mpsc::Sender<()>),
    End,
}

/// The running service.
#[derive(Debug)]
pub(crate) struct FakeKms {
    shared: Arc<Shared>,
    address: SocketAddr,
    orders: tokio::sync::mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl FakeKms {
    /// Starts it on a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            service: Mutex::default(),
            next_faults: Mutex::default(),
            lasting_fault: Mutex::default(),
            counts: Mutex::default(),
            counted: Condvar::new(),
            held: watch::Sender::new(false),
        });
        let (orders, inbox) = tokio::sync::mpsc::unbounded_channel();
        let (ready, address) = mpsc::channel();
        let for_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(for_thread, inbox, &ready));
        });
        Self { shared, address: address.recv().expect("the fake listens"), orders, thread: Some(thread) }
    }

    /// The address to give to the SDK.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates an enabled key and returns its ARN.
    pub(crate) fn create_key(&self) -> String {
        let id = data_encoding::HEXLOWER.encode(&keys::random::<16>());
        let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{id}");
        lock(&self.shared.service).keys.create(arn.clone());
        arn
    }

    /// Gives a principal exactly these operations.
    pub(crate) fn allow(&self, access_key_id: &str, operations: &[&str]) {
        let operations = operations.iter().map(|name| (*name).to_owned()).collect();
        lock(&self.shared.service).policy.insert(access_key_id.to_owned(), operations);
    }

    /// Gives a principal what keys-policy/aws gives that role.
    pub(crate) fn allow_role(&self, access_key_id: &str, role: Role) {
        let columns: &[&str] = &["data", "index", "subject"];
        let (operations, limits): (&[&str], &[(&str, &[&str])]) = match role {
            Role::Proxy => (&["Decrypt", "DescribeKey"], &[("Decrypt", columns)]),
            Role::Security => (
                &[
                    "GenerateDataKeyWithoutPlaintext",
                    "ReEncrypt",
                    "DescribeKey",
                    "Decrypt",
                    "GetKeyRotationStatus",
                    "RotateKeyOnDemand",
                    "DisableKey",
                ],
                &[("Decrypt", &["audit"]), ("ReEncrypt", columns)],
            ),
            Role::Backfill => (&["Decrypt", "DescribeKey"], &[("Decrypt", &["data", "index", "subject", "audit"])]),
            Role::Auditor => (&["Decrypt", "DescribeKey"], &[("Decrypt", &["audit"])]),
            Role::Custodian => (&["ReEncrypt", "DescribeKey"], &[("ReEncrypt", &["audit"])]),
        };
        self.allow(access_key_id, operations);
        let mut service = lock(&self.shared.service);
        for (operation, purposes) in limits {
            let purposes = purposes.iter().map(|name| (*name).to_owned()).collect();
            service.purposes.insert((access_key_id.to_owned(), (*operation).to_owned()), purposes);
        }
    }

    /// Moves a key to a state, as an administrator would.
    pub(crate) fn set_state(&self, arn: &str, state: State) {
        lock(&self.shared.service).keys.get_mut(arn).unwrap().state = state;
    }

    /// Adds a version of key material; older ciphertexts still open.
    pub(crate) fn rotate(&self, arn: &str) {
        lock(&self.shared.service).keys.get_mut(arn).unwrap().rotate(arn).unwrap();
    }

    /// Switches automatic rotation on, as an administrator would.
    pub(crate) fn rotate_every(&self, arn: &str, days: u64) {
        lock(&self.shared.service).keys.get_mut(arn).unwrap().rotation_days = Some(days);
    }

    /// The next requests meet these faults, one each.
    pub(crate) fn fail_next(&self, faults: &[Fault]) {
        lock(&self.shared.next_faults).extend(faults);
    }

    /// Every request meets this fault, until `None` is set.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        *lock(&self.shared.lasting_fault) = fault;
    }

    /// Requests are counted but wait for [`FakeKms::release`].
    pub(crate) fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Lets held requests go on.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Closes the port and all connections.
    pub(crate) fn go_down(&self) {
        self.order(Order::Down);
    }

    /// Opens the same port again.
    pub(crate) fn come_up(&self) {
        self.order(Order::Up);
    }

    /// How often an operation was asked for, retries included.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        lock(&self.shared.counts).by_operation.get(operation).copied().unwrap_or(0)
    }

    /// How often any operation was asked for on a key.
    pub(crate) fn calls_on(&self, arn: &str) -> usize {
        lock(&self.shared.counts).by_key.get(arn).copied().unwrap_or(0)
    }

    /// Blocks until an operation was asked for that often.
    pub(crate) fn wait_for_calls(&self, operation: &str, number: usize) {
        let counts = lock(&self.shared.counts);
        drop(
            self.shared
                .counted
                .wait_while(counts, |counts| counts.by_operation.get(operation).copied().unwrap_or(0) < number)
                .unwrap(),
        );
    }

    /// One request as somebody would send it who does not use the product; returns the status and the answer.
    pub(crate) async fn ask(&self, principal: &str, operation: &str, body: &Value) -> (u16, Value) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: TrentService.{operation}\r\nconnection: close\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={principal}/20260101/eu-central-1/kms/aws4_request\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<()>) -> Order) {
        let (done, wait) = mpsc::channel();
        self.orders.send(order(done)).expect("the fake runs");
        wait.recv().expect("the fake obeys");
    }
}

impl Drop for FakeKms {
    fn drop(&mut self) {
        if self.orders.send(Order::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

async fn run(
    shared: Arc<Shared>,
    mut orders: tokio::sync::mpsc::UnboundedReceiver<Order>,
    ready: &mpsc::Sender<SocketAddr>,
) {
    let mut listener = Some(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.as_ref().unwrap().local_addr().unwrap();
    ready.send(address).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Down(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    done.send(()).unwrap();
                }
                Some(Order::Up(done)) => {
                    listener = Some(TcpListener::bind(address).await.expect("the port is still free"));
                    done.send(()).unwrap();
                }
                Some(Order::End) | None => return,
            },
            Ok((stream, _)) = accept => {
                let shared = shared.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    // The client may go away at any time.
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = header("x-amz-target").strip_prefix("TrentService.").unwrap_or_default().to_owned();
    let principal = principal(header("authorization")).to_owned();
    let body = match Limited::new(request.into_body(), BODY_OCTETS_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(failed(&Failure::client("SerializationException", "the body cannot be read"))),
    };
    *lock(&shared.counts).by_operation.entry(operation.clone()).or_default() += 1;
    shared.counted.notify_all();
    let mut held = shared.held.subscribe();
    held.wait_for(|held| !held).await.expect("the fake runs");
    let fault = lock(&shared.next_faults).pop_front().or(*lock(&shared.lasting_fault));
    if let Some(fault) = fault {
        return Ok(faulty(fault).await);
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return Ok(failed(&Failure::client("SerializationException", "the body is not JSON")));
    };
    if principal.is_empty() {
        return Ok(failed(&Failure::client("MissingAuthenticationTokenException", "the request is not signed")));
    }
    let (outcome, key) = lock(&shared.service).call(&principal, &operation, &body);
    if let Some(key) = key {
        *lock(&shared.counts).by_key.entry(key).or_default() += 1;
    }
    Ok(match outcome {
        Ok(value) => respond(StatusCode::OK, "application/x-amz-json-1.1", value.to_string()),
        Err(failure) => failed(&failure),
    })
}

/// The access key id in `AWS4-HMAC-SHA256 Credential=ID/date/region/kms/aws4_request, ..`.
fn principal(authorization: &str) -> &str {
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    credential.split('/').next().unwrap_or_default()
}

async fn faulty(fault: Fault) -> Response<Full<Bytes>> {
    let server = |kind: &str| Failure {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        kind: kind.to_owned(),
        message: "injected".to_owned(),
    };
    match fault {
        Fault::Throttle => failed(&Failure::client("ThrottlingException", "Rate exceeded")),
        Fault::Internal => failed(&server("KMSInternalException")),
        Fault::DependencyTimeout => failed(&server("DependencyTimeoutException")),
        Fault::KeyUnavailable => failed(&server("KeyUnavailableException")),
        Fault::Html502 => {
            respond(StatusCode::BAD_GATEWAY, "text/html", "<html><h1>502 Bad Gateway</h1></html>".to_owned())
        }
        Fault::Hang => std::future::pending().await,
        Fault::Refusal(kind) => failed(&Failure::client(kind, "injected")),
        Fault::Garbage => respond(StatusCode::OK, "application/x-amz-json-1.1", "{not json".to_owned()),
    }
}

fn failed(failure: &Failure) -> Response<Full<Bytes>> {
    let body = json!({ "__type": failure.kind, "message": failure.message });
    respond(failure.status, "application/x-amz-json-1.1", body.to_string())
}

fn respond(status: StatusCode, content_type: &str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}
