//! One exchange with Vault.

use std::path::Path;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Uri};

use super::VaultSettingsError;
use super::answer::Answer;
use crate::http::{self, AddressError};
use crate::keys::{KeyError, SecretText};

/// Limit for an exchange, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer that we ask for is larger.
const BODY_OCTETS_MAX: usize = 256 * 1024;
const TOKEN_HEADER: &str = "x-vault-token";
/// Vault can be told to take only requests with it: a browser cannot be tricked into sending one.
const REQUEST_HEADER: &str = "x-vault-request";

/// The server.
pub(super) struct Service(http::Service);

impl Service {
    /// Reads the address, which has no path, and the authority. Makes no connection.
    pub(super) fn new(address: &str, ca_file: Option<&Path>) -> Result<Self, VaultSettingsError> {
        let bad = || VaultSettingsError::Address(address.to_owned());
        let is_more = |uri: Uri| !matches!(uri.path(), "" | "/") || uri.query().is_some();
        if address.parse().is_ok_and(is_more) {
            return Err(bad());
        }
        let service = http::Service::new(address, ca_file).map_err(|error| match error {
            AddressError::Form => bad(),
            AddressError::Plain => VaultSettingsError::PlainAddress,
            AddressError::NoAuthority => VaultSettingsError::NoAuthority,
            AddressError::Authority { path, what } => VaultSettingsError::File { path, what },
        })?;
        Ok(Self(service))
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
        let exchange = tokio::time::timeout(TIMEOUT, self.0.exchange(request, BODY_OCTETS_MAX));
        match exchange.await {
            Ok(Ok(http::Answer { status, body })) => Ok(Answer { status, body }),
            Ok(Err(error)) => {
                tracing::warn!(cause = %error, "the key service cannot be reached");
                Err(KeyError::Unavailable)
            }
            Err(_) => Err(KeyError::Timeout),
        }
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
        self.0
            .request(method, path)
            .header(REQUEST_HEADER, "true")
            .header(TOKEN_HEADER, token)
            .body(Full::new(body))
            .map_err(unsendable)
    }
}
