//! `[events]` as written, and the way from there to the checked settings of [`crate::events`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::file::{bounded, password_from_environment};
use crate::events::{FileSettings, HttpSettings, LogSink, Settings, SyslogSettings, SyslogTransport, Token};
use crate::policy::written::Text;

const FACILITIES: [(&str, u8); 12] = [
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("audit", 13),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The facility of firewall events.
const AUTHPRIV: u8 = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEvents {
    #[serde(default = "yes")]
    log: bool,
    per_second_max: Option<Spanned<u64>>,
    queue_max: Option<Spanned<u64>>,
    file: Option<WrittenFile>,
    syslog: Option<WrittenSyslog>,
    http: Option<Spanned<WrittenHttp>>,
}

impl WrittenEvents {
    /// The file with the token of the collector.
    pub(super) fn token_file(&self) -> Option<&Path> {
        self.http.as_ref()?.get_ref().token_file.as_deref()
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    path: PathBuf,
    octets_max: Option<Spanned<u64>>,
    files_max: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSyslog {
    address: Spanned<String>,
    facility: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHttp {
    url: String,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    batch_max: Option<Spanned<u64>>,
}

/// Where events go. Without the section they stand in the log alone.
pub(super) fn events(text: &mut Text<'_>, written: Option<WrittenEvents>, folder: &Path) -> Settings {
    let Some(written) = written else { return Settings::default() };
    let usual = Settings::default();
    let queue_max = bounded(text, "queue_max", &written.queue_max, 10_000, 16, 1_000_000);
    Settings {
        log: if written.log { LogSink::On } else { LogSink::Off },
        per_second_max: bounded(text, "per_second_max", &written.per_second_max, usual.per_second_max, 1, 10_000),
        queue_max: usize::try_from(queue_max).unwrap_or(usize::MAX),
        file: written.file.map(|file| FileSettings {
            path: folder.join(&file.path),
            octets_max: bounded(text, "octets_max", &file.octets_max, 64 << 20, 1 << 12, 1 << 30).into(),
            files_max: bounded(text, "files_max", &file.files_max, 5, 0, 1000),
        }),
        syslog: written.syslog.and_then(|syslog| self::syslog(text, &syslog, AUTHPRIV)),
        http: written.http.map(|http| self::http(text, http, folder)),
    }
}

/// A daemon. Without a facility it is the usual one.
pub(super) fn syslog(text: &mut Text<'_>, written: &WrittenSyslog, usual: u8) -> Option<SyslogSettings> {
    let address = written.address.get_ref();
    let transport = match address.split_once(':') {
        Some(("unix", path)) if path.starts_with('/') => Some(SyslogTransport::Unix(path.into())),
        Some(("udp", address)) => address.parse().ok().map(SyslogTransport::Udp),
        Some(_) | None => None,
    };
    if transport.is_none() {
        text.wrong(
            &written.address.span(),
            "a syslog daemon's address is unix:/path or udp:address:port, such as unix:/dev/log or udp:127.0.0.1:514",
        );
    }
    let facility = match &written.facility {
        None => Some(usual),
        Some(name) => {
            let known = FACILITIES.iter().find(|(known, _)| known == name.get_ref()).map(|(_, number)| *number);
            if known.is_none() {
                let names = FACILITIES.map(|(name, _)| name).join(", ");
                text.wrong(&name.span(), format!("no facility for this; known here: {names}"));
            }
            known
        }
    };
    Some(SyslogSettings { transport: transport?, facility: facility? })
}

fn http(text: &mut Text<'_>, written: Spanned<WrittenHttp>, folder: &Path) -> HttpSettings {
    let at = written.span();
    let written = written.into_inner();
    let token = match (written.token_file, written.token_env) {
        (None, None) => None,
        (Some(path), None) => Some(Token::File(folder.join(path))),
        (None, Some(name)) => match password_from_environment(&name) {
            Ok(token) => Some(Token::Text(Arc::new(token))),
            Err(error) => {
                text.wrong(&at, error.to_string());
                None
            }
        },
        (Some(_), Some(_)) => {
            text.wrong(&at, "token_file and token_env exclude each other");
            None
        }
    };
    let batch_max = bounded(text, "batch_max", &written.batch_max, 100, 1, 1000);
    HttpSettings {
        url: written.url,
        ca_file: written.ca_file.map(|path| folder.join(path)),
        token,
        batch_max: usize::try_from(batch_max).unwrap_or(usize::MAX),
    }
}
