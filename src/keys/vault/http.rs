//! One HTTP exchange with Vault on a connection of its own. Requests are rare, so none is kept open: an idle connection
//! that the other side has closed would look like an outage.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::VaultSettingsError;
use super::answer::Answer;
use crate::keys::endpoint::is_protected;
use crate::keys::{KeyError, SecretText};

/// Limit for an exchange, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer that we ask for is larger.
const BODY_OCTETS_MAX: usize = 256 * 1024;
const TOKEN_HEADER: &str = "x-vault-token";
/// Vault can be told to take only requests with it: a browser cannot be tricked into sending one.
const REQUEST_HEADER: &str = "x-vault-request";

/// The server.
pub(super) struct Service {
    host: String,
    port: u16,
    authority: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Service {
    /// Reads the address and the authority. Makes no connection.
    pub(super) fn new(address: &str, ca_file: Option<&Path>) -> Result<Self, VaultSettingsError> {
        let bad = || VaultSettingsError::Address(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| bad())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                let ca_file = ca_file.ok_or(VaultSettingsError::NoAuthority)?;
                (Some((connector(ca_file)?, name)), 443)
            }
            Some("http") if is_protected(address) => (None, 80),
            Some("http") => return Err(VaultSettingsError::PlainAddress),
            Some(_) | None => return Err(bad()),
        };
        let port = authority.port_u16().unwrap_or(port);
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?;
        Ok(Self { host, port, authority, tls })
    }

    /// Sends one request and reads its answer. Cancel-safe in that nothing stays behind here; Vault may have carried the
    /// request out.
    pub(super) async fn exchange(
        &self,
        method: &Method,
        path: &str,
        token: &SecretText,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, KeyError> {
        let request = self.request(method, path, token, body)?;
        let exchange = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| broken(&error))?;
            match &self.tls {
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await.map_err(|error| broken(&error))?;
                    talk(stream, request).await
                }
                None => talk(stream, request).await,
            }
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(KeyError::Timeout))
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        token: &SecretText,
        body: Option<&serde_json::Value>,
    ) -> Result<Request<Full<Bytes>>, KeyError> {
        let unsendable = |_| KeyError::Protocol("a request that cannot be sent".into());
        let mut token = HeaderValue::from_str(token.as_str())
            .map_err(|_| KeyError::Protocol("a token that cannot be sent".into()))?;
        token.set_sensitive(true);
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json")
            .header(REQUEST_HEADER, "true")
            .header(TOKEN_HEADER, token)
            .body(Full::new(body))
            .map_err(unsendable)
    }
}

/// Drives connection and request in one future, so that dropping it ends both.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, KeyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body =
            Limited::new(response.into_body(), BODY_OCTETS_MAX).collect().await.map_err(|error| broken(&*error))?;
        Ok(Answer { status, body: Zeroizing::new(body.to_bytes().to_vec()) })
    };
    // A connection that ends has given its answer to the exchange already, or lets it fail.
    let driven = async {
        drop(connection.await);
        std::future::pending().await
    };
    let (exchange, driven) = (pin!(exchange), pin!(driven));
    tokio::select! {
        biased;
        answer = exchange => answer,
        answer = driven => answer,
    }
}

fn broken(error: &dyn std::error::Error) -> KeyError {
    tracing::warn!(cause = %error, "the key service cannot be reached");
    KeyError::Unavailable
}

fn connector(ca_file: &Path) -> Result<TlsConnector, VaultSettingsError> {
    let bad = |what: String| VaultSettingsError::File { path: ca_file.to_owned(), what };
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
