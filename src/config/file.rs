//! `candado.toml` as written, and the way from there to checked [`Settings`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::ConfigError;
use super::approval::{WrittenApproval, approval};
use super::audit::{WrittenAudit, audit};
use super::events::{WrittenEvents, events};
use super::keys::{WrittenKeys, keys, revalidation};
use super::settings::{
    Control, Health, Keys, Limits, Listen, ListenTls, Log, LogFormat, LogLevel, MemoryLock, NotReady, Plaintext,
    Process, Server, ServerTls, Settings, Shadow,
};
use crate::policy::written::Text;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    on_not_ready: WrittenNotReady,
    listen: Spanned<WrittenListen>,
    server: Spanned<WrittenServer>,
    control: Spanned<WrittenControl>,
    backfill: Option<Spanned<WrittenControl>>,
    keys: Spanned<WrittenKeys>,
    approval: Option<Spanned<WrittenApproval>>,
    policy: WrittenPolicy,
    #[serde(default)]
    limits: WrittenLimits,
    #[serde(default)]
    log: WrittenLog,
    health: Option<WrittenHealth>,
    shadow: Option<WrittenShadow>,
    events: Option<WrittenEvents>,
    audit: Option<Spanned<WrittenAudit>>,
    #[serde(default)]
    process: WrittenProcess,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenNotReady {
    #[default]
    Refuse,
    PassthroughUnprotected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenListen {
    address: Spanned<String>,
    tls: Option<WrittenListenTls>,
    #[serde(default)]
    allow_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenListenTls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenServer {
    address: Spanned<String>,
    tls: Option<WrittenServerTls>,
    #[serde(default)]
    allow_plaintext: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenServerTls {
    #[serde(default)]
    mode: WrittenTlsMode,
    ca: Option<PathBuf>,
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenTlsMode {
    #[default]
    VerifyFull,
    VerifyCa,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenControl {
    user: String,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    path: PathBuf,
    environment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimits {
    connections_max: Option<Spanned<u64>>,
    packet_octets_max: Option<Spanned<u64>>,
    login_timeout_s: Option<Spanned<u64>>,
    idle_timeout_s: Option<Spanned<u64>>,
    connect_timeout_s: Option<Spanned<u64>>,
    write_timeout_s: Option<Spanned<u64>>,
    drain_timeout_s: Option<Spanned<u64>>,
    plans_max: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLog {
    #[serde(default)]
    format: WrittenFormat,
    #[serde(default)]
    level: WrittenLevel,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenFormat {
    #[default]
    Auto,
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHealth {
    address: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenShadow {
    report: PathBuf,
    interval_s: Option<Spanned<u64>>,
    lines_max: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProcess {
    #[serde(default)]
    require_mlock: bool,
}

/// Reads a configuration file, and the secrets it points to.
///
/// # Errors
/// What cannot be read, or everything that is wrong with the file.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let read = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            return ConfigError::Missing { path: path.to_owned() };
        }
        ConfigError::Read { path: path.to_owned(), source }
    };
    let text = std::fs::read_to_string(path).map_err(read)?;
    let folder = std::path::absolute(path).map_err(read)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    parse(&path.display().to_string(), &text, folder)
}

/// Reads the key provider's part of a configuration file, and nothing else of it: for work that needs no database.
///
/// # Errors
/// As [`load`].
pub fn load_keys(path: &Path) -> Result<Keys, ConfigError> {
    /// The rest is passed over; `load` judges it.
    #[derive(Debug, Deserialize)]
    struct KeysAlone {
        keys: Spanned<WrittenKeys>,
    }
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let content = std::fs::read_to_string(path).map_err(read)?;
    let folder = std::path::absolute(path).map_err(read)?;
    let name = path.display().to_string();
    let mut text = Text::new(&name, &content);
    let written: KeysAlone = text.parse()?;
    let keys = keys(&mut text, written.keys, folder.parent().unwrap_or(Path::new("/")));
    Ok(text.finish(keys)?)
}

/// Reads a configuration's text. `file` is its name in messages; relative paths in it start at `folder`.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Settings, ConfigError> {
    let mut text = Text::new(file, text);
    let written: File = text.parse()?;
    let secret_files = secret_files(&written, folder);
    let listen = listen(&mut text, written.listen, folder);
    let server = server(&mut text, written.server, folder);
    let settings = Settings {
        listen,
        server,
        control: written_control(&mut text, written.control, folder),
        revalidation: revalidation(&mut text, written.keys.get_ref()),
        backfill: written.backfill.map(|account| written_control(&mut text, account, folder)),
        keys: keys(&mut text, written.keys, folder),
        approval: approval(&mut text, written.approval),
        policy: folder.join(written.policy.path),
        environment: written.policy.environment,
        limits: limits(&mut text, &written.limits),
        log: log(&written.log),
        events: events(&mut text, written.events, folder),
        audit: audit(&mut text, written.audit, folder),
        health: written.health.map(|health| Health { address: socket_address(&mut text, &health.address) }),
        shadow: written.shadow.map(|shadow| Shadow {
            report: folder.join(shadow.report),
            interval: Duration::from_secs(bounded(&mut text, "interval_s", &shadow.interval_s, 60, 1, 86_400).into()),
            lines_max: bounded(&mut text, "lines_max", &shadow.lines_max, 10_000, 1, 1_000_000),
        }),
        process: Process {
            memory_lock: if written.process.require_mlock { MemoryLock::Required } else { MemoryLock::IfAllowed },
        },
        secret_files,
        not_ready: match written.on_not_ready {
            WrittenNotReady::Refuse => NotReady::Refuse,
            WrittenNotReady::PassthroughUnprotected => NotReady::PassthroughUnprotected,
        },
    };
    Ok(text.finish(settings)?)
}

/// Files that hold secrets, as far as they are written.
fn secret_files(written: &File, folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let control = written.control.get_ref().password_file.as_deref();
    let backfill = written.backfill.as_ref().and_then(|account| account.get_ref().password_file.as_deref());
    let tls = written.listen.get_ref().tls.as_ref().map(|tls| tls.key.as_path());
    let [passphrase, token] = written.keys.get_ref().secret_files();
    let all = [
        ("listen.tls.key", tls),
        ("control.password_file", control),
        ("backfill.password_file", backfill),
        passphrase,
        token,
        ("events.http.token_file", written.events.as_ref().and_then(WrittenEvents::token_file)),
        ("audit.key_file", written.audit.as_ref().map(|audit| audit.get_ref().key_file())),
    ];
    all.into_iter().filter_map(|(setting, path)| Some((setting, folder.join(path?)))).collect()
}

fn socket_address(text: &mut Text<'_>, written: &Spanned<String>) -> SocketAddr {
    written.get_ref().parse().unwrap_or_else(|_| {
        text.wrong(
            &written.span(),
            format!("`{}` is no address with port, such as 127.0.0.1:3307 or [::]:3307", written.get_ref()),
        );
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn listen(text: &mut Text<'_>, written: Spanned<WrittenListen>, folder: &Path) -> Listen {
    let at = written.span();
    let written = written.into_inner();
    let address = socket_address(text, &written.address);
    let plaintext = match (written.allow_plaintext, address.ip().is_loopback()) {
        (_, true) => Plaintext::Loopback,
        (true, false) => Plaintext::Allowed,
        (false, false) => Plaintext::Refused,
    };
    if written.tls.is_none() && plaintext == Plaintext::Refused {
        text.wrong(
            &at,
            "clients would send passwords and values in the clear: give [listen.tls] a certificate and key, listen on a \
             loopback address, or write allow_plaintext = true",
        );
    }
    let tls = written.tls.map(|tls| ListenTls {
        certificate: folder.join(tls.certificate),
        key: folder.join(tls.key),
        client_ca: tls.client_ca.map(|path| folder.join(path)),
    });
    Listen { address, tls, plaintext }
}

fn server(text: &mut Text<'_>, written: Spanned<WrittenServer>, folder: &Path) -> Server {
    let at = written.span();
    let written = written.into_inner();
    let (host, port) = host_and_port(written.address.get_ref()).unwrap_or_else(|| {
        text.wrong(&written.address.span(), "the server's address is host:port, such as db.internal:3306");
        (String::new(), 0)
    });
    let tls = written.tls.unwrap_or_default();
    let ca = tls.ca.map(|path| folder.join(path));
    let tls = match (tls.mode, ca) {
        (WrittenTlsMode::VerifyFull, Some(ca)) => {
            ServerTls::VerifyFull { ca, name: tls.name.unwrap_or_else(|| host.clone()) }
        }
        (WrittenTlsMode::VerifyCa, Some(ca)) => ServerTls::VerifyCa { ca },
        (WrittenTlsMode::VerifyFull | WrittenTlsMode::VerifyCa, None) => {
            text.wrong(
                &at,
                "TLS to the server needs its authority: [server.tls] ca = \"ca.pem\" (MySQL's own is ca.pem in its data \
                 directory, with mode = \"verify-ca\")",
            );
            ServerTls::Off(Plaintext::Refused)
        }
        (WrittenTlsMode::Off, _) if is_loopback(&host) => ServerTls::Off(Plaintext::Loopback),
        (WrittenTlsMode::Off, _) if written.allow_plaintext => ServerTls::Off(Plaintext::Allowed),
        (WrittenTlsMode::Off, _) => {
            text.wrong(
                &at,
                "mode = \"off\" to a server on another machine: passwords and unprotected values would cross the network \
                 in the clear; write allow_plaintext = true if that is meant",
            );
            ServerTls::Off(Plaintext::Refused)
        }
    };
    Server { host, port, tls }
}

/// `host:port`, `address:port` or `[v6 address]:port`.
fn host_and_port(written: &str) -> Option<(String, u16)> {
    let (host, port) = written.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn written_control(text: &mut Text<'_>, written: Spanned<WrittenControl>, folder: &Path) -> Control {
    let at = written.span();
    let written = written.into_inner();
    let password = match (written.password_file, written.password_env) {
        (Some(path), None) => password_from_file(&folder.join(path)).unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            text.wrong(&at, format!("password_file: {error}{cause}"));
            Zeroizing::default()
        }),
        (None, Some(name)) => password_from_environment(&name).unwrap_or_else(|error| {
            text.wrong(&at, error.to_string());
            Zeroizing::default()
        }),
        (None, None) => {
            text.wrong(&at, "the account needs password_file or password_env");
            Zeroizing::default()
        }
        (Some(_), Some(_)) => {
            text.wrong(&at, "password_file and password_env exclude each other");
            Zeroizing::default()
        }
    };
    Control { user: written.user, password }
}

/// An account given on the command line, with the place of its password; exactly one place is given.
///
/// # Errors
/// The password cannot be read.
pub fn control(user: &str, file: Option<&Path>, variable: Option<&str>) -> Result<Control, ConfigError> {
    let password = match (file, variable) {
        (Some(path), _) => password_from_file(path)?,
        (None, Some(name)) => password_from_environment(name)?,
        (None, None) => Zeroizing::default(),
    };
    Ok(Control { user: user.to_owned(), password })
}

pub(super) fn password_from_file(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let read = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source });
    let mut password = Zeroizing::new(read?);
    let length = password.trim_end_matches(['\r', '\n']).len();
    password.truncate(length);
    Ok(password)
}

pub(super) fn password_from_environment(name: &str) -> Result<Zeroizing<String>, ConfigError> {
    std::env::var(name).map(Zeroizing::new).map_err(|_| ConfigError::NotSet { name: name.to_owned() })
}

pub(super) fn bounded(
    text: &mut Text<'_>,
    name: &str,
    value: &Option<Spanned<u64>>,
    default: u32,
    least: u32,
    most: u32,
) -> u32 {
    let Some(value) = value else { return default };
    match u32::try_from(*value.get_ref()) {
        Ok(number) if (least..=most).contains(&number) => number,
        Ok(_) | Err(_) => {
            text.wrong(&value.span(), format!("{name} = {} is out of bounds: {least} to {most}", value.get_ref()));
            default
        }
    }
}

fn limits(text: &mut Text<'_>, written: &WrittenLimits) -> Limits {
    let mut bounded = |name: &str, value: &Option<Spanned<u64>>, default, least, most| {
        bounded(text, name, value, default, least, most)
    };
    // No default: 0 cannot be written, so here it stands for nothing written. The most is that of wait_timeout.
    let idle_timeout = match bounded("idle_timeout_s", &written.idle_timeout_s, 0, 1, 31_536_000) {
        0 => None,
        seconds => Some(Duration::from_secs(seconds.into())),
    };
    let mut seconds = |name: &str, value: &Option<Spanned<u64>>, default, most| {
        Duration::from_secs(bounded(name, value, default, 1, most).into())
    };
    let login_timeout = seconds("login_timeout_s", &written.login_timeout_s, 10, 600);
    let connect_timeout = seconds("connect_timeout_s", &written.connect_timeout_s, 5, 600);
    let write_timeout = seconds("write_timeout_s", &written.write_timeout_s, 60, 3600);
    let drain_timeout = seconds("drain_timeout_s", &written.drain_timeout_s, 30, 3600);
    Limits {
        connections_max: bounded("connections_max", &written.connections_max, 1000, 1, 1_000_000),
        packet_octets_max: bounded("packet_octets_max", &written.packet_octets_max, 64 << 20, 1 << 20, 1 << 30),
        plans_max: bounded("plans_max", &written.plans_max, 10_000, 16, 1_000_000),
        login_timeout,
        idle_timeout,
        connect_timeout,
        write_timeout,
        drain_timeout,
    }
}

fn log(written: &WrittenLog) -> Log {
    Log {
        format: match written.format {
            WrittenFormat::Auto => LogFormat::Auto,
            WrittenFormat::Text => LogFormat::Text,
            WrittenFormat::Json => LogFormat::Json,
        },
        level: match written.level {
            WrittenLevel::Error => LogLevel::Error,
            WrittenLevel::Warn => LogLevel::Warn,
            WrittenLevel::Info => LogLevel::Info,
            WrittenLevel::Debug => LogLevel::Debug,
            WrittenLevel::Trace => LogLevel::Trace,
        },
    }
}
