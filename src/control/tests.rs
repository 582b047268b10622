use super::backoff::Backoff;
use super::catalog_loader::version;
use super::pool::classify;
use super::{Settings, Tls};
use crate::schema::{ServerKind, ServerVersion};
use mysql_async::DriverError;
use std::time::Duration;
use zeroize::Zeroizing;

#[test]
fn versions_read_as_versioned_comments_spell_them() {
    let mysql = |number| Some(ServerVersion { kind: ServerKind::MySql, number });
    let mariadb = |number| Some(ServerVersion { kind: ServerKind::MariaDb, number });
    assert_eq!(version("9.7.4-2"), mysql(90_704));
    assert_eq!(version("8.0.36-28-log"), mysql(80_036));
    assert_eq!(version("10.11.18-MariaDB-0+deb12u1"), mariadb(101_118));
    assert_eq!(version("11.4.2-mariadb-ubu2404"), mariadb(110_402));
}

#[test]
fn versions_that_make_no_sense_are_no_versions() {
    for text in ["", "8", "8.0", "8.x.1", "MariaDB", "8.0.1000", "8.100.1", "99999999999.1.1"] {
        assert_eq!(version(text), None, "{text}");
    }
}

#[test]
fn waits_grow_and_stay_below_ten_seconds() {
    let mut backoff = Backoff::new();
    let mut bound = Duration::from_millis(200);
    for _ in 0..20 {
        assert!(backoff.next() <= bound);
        bound = (bound * 2).min(Duration::from_secs(10));
    }
}

#[test]
fn a_cause_is_told_once_and_in_our_words() {
    let told = |error: mysql_async::Error| classify(error, "load the catalog").chain();
    let io = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
    let nested = std::io::Error::other(mysql_async::Error::from(io()));
    for error in [mysql_async::Error::from(io()), mysql_async::Error::from(nested)] {
        assert_eq!(told(error), "cannot reach the server to load the catalog: Connection refused");
    }
    let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    assert_eq!(
        told(std::io::Error::other(untrusted).into()),
        "cannot load the catalog: the server's certificate is not trusted (mode, ca and name under [server.tls]): invalid \
         peer certificate: UnknownIssuer"
    );
    let plugin = DriverError::UnknownAuthPlugin { name: "sha256_password".to_owned() };
    assert!(told(plugin.into()).contains("`sha256_password`"));
    let tls = DriverError::NoClientSslFlagFromServer;
    assert_eq!(told(tls.into()), "cannot load the catalog: the server offers no TLS, which [server.tls] demands");
}

#[test]
fn the_password_is_not_in_the_debug_text() {
    let settings = Settings {
        host: "db".into(),
        port: 3306,
        user: "candado_proxy".into(),
        password: Zeroizing::new("canary".into()),
        tls: Tls::Off,
        operation_timeout: Duration::from_secs(5),
        catalog_timeout: Duration::from_secs(30),
    };
    let text = format!("{settings:?}");
    assert!(text.contains("candado_proxy") && !text.contains("canary"), "{text}");
}
