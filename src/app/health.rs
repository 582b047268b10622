//! Liveness, readiness and metrics over HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! Answers GET without a body and nothing else. Not for the public: it says whether keys are there.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::KeysMissing;

/// Probes come one at a time; whoever opens more waits.
const CONNECTIONS_MAX: usize = 16;
/// A probe that takes longer than this is gone.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);

/// Whether clients can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// The server's catalog has not been loaded yet.
    NoCatalog,
    /// Data keys are missing, for this reason.
    NoKeys(KeysMissing),
    /// Shadow mode, and a protected column is not plain.
    ShadowOver,
    /// The process is about to end.
    Draining,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NoCatalog => f.write_str("not ready: no catalog: it could not be loaded from the server yet"),
            Self::NoKeys(missing) => write!(f, "not ready: no keys: {missing}"),
            Self::ShadowOver => f.write_str("not ready: shadow mode, and a protected column is not plain"),
            Self::Draining => f.write_str("not ready: draining"),
        }
    }
}

/// What the endpoint tells.
pub struct Endpoint {
    readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    remarks: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    registry: Registry,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("readiness", &(self.readiness)()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// `readiness` is asked anew for every request, and so is `remarks`: what a ready proxy does not do all the same.
    pub fn new(
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
        remarks: impl Fn() -> Vec<String> + Send + Sync + 'static,
        registry: Registry,
    ) -> Self {
        Self { readiness: Box::new(readiness), remarks: Box::new(remarks), registry }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive\n".to_owned()),
            "/readyz" => match (self.readiness)() {
                Readiness::Ready => {
                    let remarks = (self.remarks)().into_iter().map(|remark| format!("{remark}\n"));
                    text(StatusCode::OK, format!("{}\n{}", Readiness::Ready, remarks.collect::<String>()))
                }
                missing @ (Readiness::NoCatalog
                | Readiness::NoKeys(_)
                | Readiness::ShadowOver
                | Readiness::Draining) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
            },
            "/metrics" => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "/livez, /readyz, /metrics\n".to_owned()),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut body = String::new();
        if prometheus_client::encoding::text::encode(&mut body, &self.registry).is_err() {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n".to_owned());
        }
        let mut response = text(StatusCode::OK, body);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        response
    }
}

/// Serves the endpoint until the token is cancelled.
pub async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>, tracker: TaskTracker, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let (endpoint, shutdown) = (endpoint.clone(), shutdown.clone());
        tracker.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = timeout(CONNECTION_TIME_MAX, converse(stream, endpoint)) => {}
            }
            drop(place);
        });
    }
}

/// The next connection with its place. `None` if accepting failed: the connection is gone, others may come.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(cause = %error, "health endpoint cannot accept");
            // Without a pause, running out of descriptors would become a busy loop.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn converse(stream: TcpStream, endpoint: Arc<Endpoint>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = endpoint.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(cause = %error, "health connection ended early");
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
