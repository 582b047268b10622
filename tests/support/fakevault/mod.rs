//! A Vault server for tests: the transit engine over real HTTP or HTTPS, with a policy per token, derived keys, versions,
//! a seal and faults that are switched on from outside. It knows no other engine, no leases and no namespaces.
//!
//! It runs on a thread of its own, so tests with and without a runtime can use it, and ends with the value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support")]
#![allow(dead_code, reason = "not every test uses every switch")]

mod transit;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use transit::Derived;
use transit::{Key, Transit, failure};

const BODY_OCTETS_MAX: usize = 64 * 1024;

/// What the server does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 429: a rate limit quota is used up.
    RateLimit,
    /// 500.
    Internal,
    /// 502 with a page of HTML, as a proxy in between sends it.
    Html502,
    /// 412: this node has not caught up.
    Behind,
    /// The request is read and never answered.
    Hang,
    /// The connection is closed after the request.
    Close,
    /// 200 with something that is not JSON.
    Garbage,
    /// 200 with JSON that holds no data.
    Empty,
}

#[derive(Debug, Default)]
struct Shared {
    transit: Mutex<Transit>,
    sealed: Mutex<bool>,
    fault: Mutex<Option<Fault>>,
    /// How often each path was asked for, by token and path.
    calls: Mutex<HashMap<(String, String), usize>>,
}

/// The running server.
#[derive(Debug)]
pub(crate) struct FakeVault {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    stop: Option<DropGuard>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl FakeVault {
    /// Starts it on a free port of 127.0.0.1, unsealed, without TLS.
    pub(crate) fn start() -> Self {
        Self::launch("http", None)
    }

    /// The same with TLS.
    pub(crate) fn start_tls(certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::launch("https", Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn launch(scheme: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::<Shared>::default();
        let (ready, address) = mpsc::channel();
        let stop = CancellationToken::new();
        let (for_thread, stopped) = (shared.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = run(for_thread, tls, &ready) => {}
                    () = stopped.cancelled() => {}
                }
            });
        });
        let address = address.recv().expect("the fake listens");
        Self { shared, address, scheme, stop: Some(stop.drop_guard()), thread: Some(thread) }
    }

    /// Its address, as the configuration takes it.
    pub(crate) fn address(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Creates a transit key.
    pub(crate) fn create_key(&self, name: &str, derived: Derived) {
        lock(&self.shared.transit).keys.insert(name.to_owned(), Key::new(derived));
    }

    /// Gives a token exactly these paths.
    pub(crate) fn allow(&self, token: &str, paths: &[&str]) {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        lock(&self.shared.transit).policies.insert(token.to_owned(), paths);
    }

    /// Revokes a token.
    pub(crate) fn revoke(&self, token: &str) {
        lock(&self.shared.transit).policies.remove(token);
    }

    /// Puts versions below this one out of use.
    pub(crate) fn min_decryption_version(&self, name: &str, version: usize) {
        lock(&self.shared.transit).key_mut(name).unwrap().min_decryption_version = version;
    }

    /// Makes new versions by itself, as far as it tells.
    pub(crate) fn rotate_every(&self, name: &str, seconds: u64) {
        lock(&self.shared.transit).key_mut(name).unwrap().auto_rotate_period = seconds;
    }

    /// Seals or unseals it.
    pub(crate) fn seal(&self, sealed: bool) {
        *lock(&self.shared.sealed) = sealed;
    }

    /// Every request meets this fault, until `None` is set.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        *lock(&self.shared.fault) = fault;
    }

    /// How often a token asked for a path.
    pub(crate) fn calls(&self, token: &str, path: &str) -> usize {
        lock(&self.shared.calls).get(&(token.to_owned(), path.to_owned())).copied().unwrap_or(0)
    }

    /// Every path that a token asked for, in ascending order.
    pub(crate) fn paths(&self, token: &str) -> Vec<String> {
        let calls = lock(&self.shared.calls);
        let mut paths: Vec<String> =
            calls.keys().filter(|(who, _)| who == token).map(|(_, path)| path.clone()).collect();
        paths.sort();
        paths
    }

    /// Every data key that it has made.
    pub(crate) fn made(&self) -> Vec<[u8; 32]> {
        lock(&self.shared.transit).made.clone()
    }
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn run(shared: Arc<Shared>, tls: Option<TlsAcceptor>, ready: &mpsc::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ready.send(listener.local_addr().unwrap()).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (shared, tls) = (shared.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                // The client may go away at any time.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(shared, stream).await;
                    }
                }
                None => serve(shared, stream).await,
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(shared: Arc<Shared>, stream: S) {
    let service = service_fn(move |request| answer(shared.clone(), request));
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// Fails with an error only to close the connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header("x-vault-token").to_owned();
    assert_eq!(header("x-vault-request"), "true");
    let method = request.method().clone();
    let path = request.uri().path().strip_prefix("/v1/").unwrap_or_default().to_owned();
    let body = Limited::new(request.into_body(), BODY_OCTETS_MAX).collect().await.expect("a body").to_bytes();
    *lock(&shared.calls).entry((token.clone(), path.clone())).or_default() += 1;
    let fault = *lock(&shared.fault);
    if let Some(fault) = fault {
        return faulty(fault).await;
    }
    if *lock(&shared.sealed) {
        return Ok(failed(&failure(503, "Vault is sealed")));
    }
    let reads = path.starts_with("transit/keys/") && !path.ends_with("/rotate");
    if method != if reads { Method::GET } else { Method::POST } {
        return Ok(failed(&failure(405, "unsupported operation")));
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    let outcome = lock(&shared.transit).call(&token, &path, &body);
    Ok(match outcome {
        Ok(data) => respond(StatusCode::OK, "application/json", json!({ "request_id": "r", "data": data }).to_string()),
        Err(failure) => failed(&failure),
    })
}

async fn faulty(fault: Fault) -> Result<Response<Full<Bytes>>, std::io::Error> {
    Ok(match fault {
        Fault::RateLimit => failed(&failure(429, "request path: rate limit quota exceeded")),
        Fault::Internal => failed(&failure(500, "internal error")),
        Fault::Behind => failed(&failure(412, "required index state not present")),
        Fault::Html502 => {
            respond(StatusCode::BAD_GATEWAY, "text/html", "<html><h1>502 Bad Gateway</h1></html>".to_owned())
        }
        Fault::Hang => std::future::pending().await,
        Fault::Close => return Err(std::io::Error::other("closed on purpose")),
        Fault::Garbage => respond(StatusCode::OK, "application/json", "{not json".to_owned()),
        Fault::Empty => respond(StatusCode::OK, "application/json", "{\"data\":{}}".to_owned()),
    })
}

fn failed((status, text): &transit::Failure) -> Response<Full<Bytes>> {
    let errors: Vec<&str> = if text.is_empty() { vec![] } else { vec![text] };
    respond(*status, "application/json", json!({ "errors": errors }).to_string())
}

fn respond(status: StatusCode, content_type: &str, body: String) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("content-type", content_type).body(Full::new(Bytes::from(body))).unwrap()
}
