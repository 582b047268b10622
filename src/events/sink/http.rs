//! Batches of OCSF findings to a collector over HTTP, each on a connection of its own: they are rare, and an idle
//! connection that the other side has closed would look like an outage.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::SinkError;
use crate::events::{Event, HttpSettings, SettingsError, Token, finding};

/// Collectors answer with a short document, of which only the status is read.
const BODY_OCTETS_MAX: usize = 64 * 1024;

/// The collector.
pub(in crate::events) struct Collector {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token: Option<Token>,
    batch_max: usize,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Collector {
    /// Reads address and authorities. Makes no connection.
    pub(in crate::events) fn new(settings: &HttpSettings) -> Result<Self, SettingsError> {
        let bad = || SettingsError::Url("an address is written https://host:port/path");
        let uri: Uri = settings.url.parse().map_err(|_| bad())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                let without = SettingsError::Url("https needs the authorities of its certificate: ca_file");
                (Some((connector(settings.ca_file.as_deref().ok_or(without)?)?, name)), 443)
            }
            Some("http") if is_loopback(&host) => (None, 80),
            Some("http") => return Err(SettingsError::Url("http:// is for loopback addresses; use https://")),
            Some(_) | None => return Err(bad()),
        };
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(port),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            tls,
            token: settings.token.clone(),
            batch_max: settings.batch_max,
        })
    }

    pub(super) fn batch_max(&self) -> usize {
        self.batch_max
    }

    /// Sends one request. What is delivered twice has the same ids.
    pub(super) async fn deliver(&self, batch: &[Arc<Event>]) -> Result<(), SinkError> {
        let findings: Vec<_> = batch.iter().map(|event| finding(event)).collect();
        let request = self.request(serde_json::Value::from(findings).to_string())?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| SinkError::passing(&error))?;
        let status = match &self.tls {
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                talk(stream.map_err(|error| SinkError::passing(&error))?, request).await?
            }
            None => talk(stream, request).await?,
        };
        if status.is_success() {
            return Ok(());
        }
        let text = format!("the collector answers {status}");
        let again = status.is_server_error()
            || [
                StatusCode::REQUEST_TIMEOUT,
                StatusCode::TOO_MANY_REQUESTS,
                // A token that has run out is exchanged by somebody.
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
            ]
            .contains(&status);
        Err(if again { SinkError::Passing(text) } else { SinkError::Final(text) })
    }

    fn request(&self, body: String) -> Result<Request<Full<Bytes>>, SinkError> {
        let mut builder = Request::builder()
            .method("POST")
            .uri(&self.path)
            .header(HOST, &self.authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            let token = match token {
                Token::Text(text) => text.clone(),
                Token::File(path) => {
                    let text = std::fs::read_to_string(path).map_err(|error| SinkError::passing(&error))?;
                    Arc::new(Zeroizing::new(text))
                }
            };
            let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
            let unsendable = |_| SinkError::Passing("the token cannot be sent".to_owned());
            let mut value = HeaderValue::from_str(&bearer).map_err(unsendable)?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        builder.body(Full::new(Bytes::from(body))).map_err(|error| SinkError::passing(&error))
    }
}

/// Drives connection and request in one future, so that dropping it ends both.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, SinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| SinkError::passing(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| SinkError::passing(&error))?;
        let status = response.status();
        // Read to its end, so that the collector sees no broken connection.
        drop(Limited::new(response.into_body(), BODY_OCTETS_MAX).collect().await);
        Ok(status)
    };
    let driven = async {
        drop(connection.await);
        std::future::pending().await
    };
    let (exchange, driven) = (pin!(exchange), pin!(driven));
    tokio::select! {
        biased;
        status = exchange => status,
        status = driven => status,
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn connector(ca_file: &Path) -> Result<TlsConnector, SettingsError> {
    let bad = |what: String| SettingsError::Authority { path: ca_file.to_owned(), what };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(ca_file).and_then(Iterator::collect).map_err(|error| bad(error.to_string()));
    let (mut roots, certificates) = (RootCertStore::empty(), certificates?);
    if certificates.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
