//! TLS as configured: certificates from files, and what is believed of the other side.
//!
//! The certificate towards clients can be replaced while connections stay: new handshakes take the newest one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{Listen, ListenTls, Plaintext, Server, ServerTls};
use crate::{control, proxy};

/// TLS files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, or holds no PEM of the wanted kind.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The server's name cannot stand in a certificate.
    #[error("`{0}` is no name that a certificate can carry")]
    Name(String),
    /// The library refuses the combination.
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

fn bad(path: &Path, what: impl fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), what: what.to_string() }
}

/// The certificate that clients see. Cheap to clone; all clones show the newest one.
#[derive(Clone, Debug)]
pub struct Identity {
    current: Arc<ArcSwap<CertifiedKey>>,
    files: ListenTls,
}

impl Identity {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A file cannot be used, or they do not belong together.
    pub fn load(files: &ListenTls) -> Result<Self, TlsError> {
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(certified_key(files)?)), files: files.clone() })
    }

    /// Reads the files again. On an error the old certificate stays.
    ///
    /// # Errors
    /// As [`Identity::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(certified_key(&self.files)?));
        Ok(())
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn certified_key(files: &ListenTls) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, error))?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| bad(&files.key, error))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(error) => Err(bad(&files.key, format_args!("does not belong to the certificate: {error}"))),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error))?;
    let chain = read.collect::<Result<Vec<_>, _>>().map_err(|error| bad(path, error))?;
    if chain.is_empty() {
        return Err(bad(path, "holds no certificate"));
    }
    Ok(chain)
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| bad(path, error))?;
    }
    Ok(Arc::new(store))
}

/// What clients are offered. `identity` is the loaded certificate, if one is configured.
///
/// # Errors
/// The authority of client certificates cannot be used.
pub fn towards_clients(listen: &Listen, identity: Option<&Identity>) -> Result<proxy::ClientTls, TlsError> {
    let Some(identity) = identity else { return Ok(proxy::ClientTls::Off) };
    let builder = ServerConfig::builder();
    let builder = match &identity.files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier =
                WebPkiClientVerifier::builder(authorities(path)?).build().map_err(|error| bad(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_cert_resolver(Arc::new(identity.clone()))));
    Ok(match (listen.plaintext, &identity.files.client_ca) {
        // Who asks for client certificates does not want clients without one.
        (_, Some(_)) | (Plaintext::Refused, None) => proxy::ClientTls::Required(acceptor),
        (Plaintext::Loopback | Plaintext::Allowed, None) => proxy::ClientTls::Offered(acceptor),
    })
}

/// How the data plane reaches the server.
///
/// # Errors
/// The authority's file or the name cannot be used.
pub fn towards_server(server: &Server) -> Result<proxy::ServerTls, TlsError> {
    let (config, name) = match &server.tls {
        ServerTls::Off(_) => return Ok(proxy::ServerTls::Off),
        ServerTls::VerifyFull { ca, name } => {
            (ClientConfig::builder().with_root_certificates(authorities(ca)?).with_no_client_auth(), name)
        }
        ServerTls::VerifyCa { ca } => {
            let verifier =
                AuthorityOnly(WebPkiServerVerifier::builder(authorities(ca)?).build().map_err(|error| bad(ca, error))?);
            let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            (config.with_no_client_auth(), &server.host)
        }
    };
    let name = ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?;
    Ok(proxy::ServerTls::Required { connector: TlsConnector::from(Arc::new(config)), name })
}

/// How the control plane reaches the server: as the data plane does.
pub fn towards_server_for_control(server: &Server) -> control::Tls {
    match &server.tls {
        ServerTls::Off(_) => control::Tls::Off,
        ServerTls::VerifyCa { ca } => control::Tls::AuthorityOnly { ca_file: ca.clone() },
        ServerTls::VerifyFull { ca, name } => control::Tls::Verified {
            ca_file: Some(ca.clone()),
            server_name: (*name != server.host).then(|| name.clone()),
            identity: None,
        },
    }
}

/// Mode "verify-ca": the certificate must come from the authority, whatever name it carries.
#[derive(Debug)]
struct AuthorityOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AuthorityOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The library compares names last: this error means that everything else is in order.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
