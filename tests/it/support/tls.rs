//! TLS for tests that run the data plane in their own process: the certificate that all test servers have, and trust in
//! its authority.

use std::sync::Arc;

use candado::proxy::{ClientTls, ServerTls};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::server::Server;

/// What a client believes.
pub(crate) fn trust(server: &Server) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.ca).expect("the authority")).expect("an authority");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // Clients that connect to the server and to the proxy by the same address must not show one the other's tickets.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// TLS for clients that ask.
pub(crate) fn offered(server: &Server) -> ClientTls {
    let beside = server.ca.parent().expect("a folder");
    let certificate = CertificateDer::from_pem_file(beside.join("server-cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(beside.join("server-key.pem")).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    ClientTls::Offered(TlsAcceptor::from(Arc::new(config.expect("a certificate with its key"))))
}

/// TLS towards the server.
pub(crate) fn required(server: &Server) -> ServerTls {
    let name = server.host.clone().try_into().expect("a name");
    ServerTls::Required { connector: TlsConnector::from(trust(server)), name }
}
