//! One HTTP/1.1 exchange with a service that Candado calls, on a connection of its own: such calls are rare, and an idle
//! connection that the other side has closed would look like an outage.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri, http::request};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// A service whose address was read. Shown without its path, which may hold a secret.
pub struct Service {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// An address or a file of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not an address of the wanted form.
    #[error("not an address such as https://host:port/path")]
    Form,
    /// What is sent would travel in the clear.
    #[error("http:// is for loopback addresses; use https://")]
    Plain,
    /// Nobody says whose certificate is believed.
    #[error("https:// needs the authorities of its certificate: ca_file")]
    NoAuthority,
    /// The file of authorities is missing, or holds something else.
    #[error("{path}: {what}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// An answer as it came.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// May hold a secret.
    pub body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Service {
    /// Reads the address, and the authorities that its certificate is checked by. Makes no connection.
    ///
    /// # Errors
    /// Anything but `https://` with authorities, and `http://` to a loopback address.
    pub fn new(address: &str, ca_file: Option<&Path>) -> Result<Self, AddressError> {
        let uri: Uri = address.parse().map_err(|_| AddressError::Form)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(AddressError::Form)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| AddressError::Form)?;
                (Some((connector(ca_file.ok_or(AddressError::NoAuthority)?)?, name)), 443)
            }
            Some("http") if is_loopback(&host) => (None, 80),
            Some("http") => return Err(AddressError::Plain),
            Some(_) | None => return Err(AddressError::Form),
        };
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(port),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| AddressError::Form)?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            tls,
        })
    }

    /// Path and query of the address, `/` at least.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The beginning of a request with a JSON document for a body.
    pub fn request(&self, method: &Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json")
    }

    /// Sends a request and reads its answer, which may have so many bytes. Has no limit in time. Dropping it ends the
    /// connection; the service may have carried the request out.
    ///
    /// # Errors
    /// The service cannot be reached, breaks off, or says more than it may.
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        octets_max: usize,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            Some((connector, name)) => talk(connector.connect(name.clone(), stream).await?, request, octets_max).await,
            None => talk(stream, request, octets_max).await,
        }
    }
}

/// Whether a secret may travel to this address: over TLS, or not over a network at all.
pub fn is_protected(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return address.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    is_loopback(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Drives connection and request in one future, so that dropping it ends both.
async fn talk<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    octets_max: usize,
) -> Result<Answer, Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), octets_max).collect().await?;
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

fn connector(ca_file: &Path) -> Result<TlsConnector, AddressError> {
    let bad = |what: String| AddressError::Authority { path: ca_file.to_owned(), what };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for address in ["https://kms.example", "http://127.0.0.1:4599", "http://[::1]:1/", "http://localhost"] {
            assert!(is_protected(address), "{address}");
        }
        let open = [
            "http://kms.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://127.0.0.1@kms.example",
            "ftp://x",
        ];
        for address in open {
            assert!(!is_protected(address), "{address}");
            assert!(Service::new(address, None).is_err(), "{address}");
        }
    }

    #[test]
    fn an_address_is_read_whole() {
        let service = Service::new("http://[::1]:88/in?a=b", None).unwrap();
        assert_eq!((service.host.as_str(), service.port, service.path()), ("::1", 88, "/in?a=b"));
        assert!(matches!(Service::new("https://collector.example", None), Err(AddressError::NoAuthority)));
        assert!(matches!(Service::new("http://collector.example", None), Err(AddressError::Plain)));
        assert!(matches!(Service::new("collector", None), Err(AddressError::Form)));
    }
}
