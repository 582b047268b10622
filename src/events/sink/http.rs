//! Batches of OCSF findings to a collector over HTTP.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use zeroize::Zeroizing;

use super::SinkError;
use crate::events::{Event, HttpSettings, SettingsError, Token, finding};
use crate::http::Service;

/// Collectors answer with a short document, of which only the status is read.
const BODY_OCTETS_MAX: usize = 64 * 1024;

/// The collector.
#[derive(Debug)]
pub(in crate::events) struct Collector {
    service: Service,
    token: Option<Token>,
    batch_max: usize,
}

impl Collector {
    /// Reads address and authorities. Makes no connection.
    pub(in crate::events) fn new(settings: &HttpSettings) -> Result<Self, SettingsError> {
        let service = Service::new(&settings.url, settings.ca_file.as_deref())?;
        Ok(Self { service, token: settings.token.clone(), batch_max: settings.batch_max })
    }

    pub(super) fn batch_max(&self) -> usize {
        self.batch_max
    }

    /// Sends one request. What is delivered twice has the same ids.
    pub(super) async fn deliver(&self, batch: &[Arc<Event>]) -> Result<(), SinkError> {
        let findings: Vec<_> = batch.iter().map(|event| finding(event)).collect();
        let request = self.request(serde_json::Value::from(findings).to_string())?;
        let answer = self.service.exchange(request, BODY_OCTETS_MAX).await;
        let status = answer.map_err(|error| SinkError::passing(&*error))?.status;
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
        let mut builder = self.service.request(&Method::POST, self.service.path());
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
