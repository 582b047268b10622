use super::*;

#[test]
fn the_matrix_of_plugins_and_security_is_the_written_one() {
    use Passage::{DecryptForServer, EncryptForServer, Refuse, Relay};
    // Columns: client plain and server plain, both TLS, client TLS alone, server TLS alone.
    for (name, row) in [
        ("mysql_native_password", [Relay, Relay, Relay, Relay]),
        ("client_ed25519", [Relay, Relay, Relay, Relay]),
        ("parsec", [Relay, Relay, Relay, Relay]),
        ("caching_sha2_password", [Relay, Relay, EncryptForServer, DecryptForServer]),
        ("mysql_clear_password", [Refuse, Relay, Refuse, Refuse]),
        ("dialog", [Refuse, Relay, Refuse, Refuse]),
        ("sha256_password", [Relay, Relay, Refuse, Refuse]),
        ("authentication_kerberos_client", [Relay, Relay, Refuse, Refuse]),
        ("mysql_old_password", [Refuse, Refuse, Refuse, Refuse]),
    ] {
        let plugin = Plugin::from_name(name.as_bytes());
        let seen = [
            passage(plugin, Security::Plain, Security::Plain),
            passage(plugin, Security::Tls, Security::Tls),
            passage(plugin, Security::Tls, Security::Plain),
            passage(plugin, Security::Plain, Security::Tls),
        ];
        assert_eq!(seen, row, "{name}");
    }
}

#[test]
fn messages_are_read_by_the_plugin_at_work() {
    let sha2 = Plugin::CachingSha2;
    assert_eq!(Message::parse(&[1, 3], sha2), Ok(Message::FastOk));
    assert_eq!(Message::parse(&[1, 4], sha2), Ok(Message::FullWanted));
    assert_eq!(Message::parse(&[1, 4], Plugin::Opaque), Ok(Message::More(&[4])));
    let switch = Message::Switch { plugin: Plugin::ChallengeResponse, data: b"nonce\0" };
    assert_eq!(Message::parse(b"\xfemysql_native_password\0nonce\0", sha2), Ok(switch));
    assert_eq!(Message::parse(&[0xfe], sha2), Ok(Message::Switch { plugin: Plugin::Old, data: &[] }));
    assert_eq!(Message::parse(&[], sha2), Err(WireError::Unexpected("authentication")));
    assert_eq!(Message::parse(&[0xfe, b'x'], sha2), Err(WireError::Truncated("authentication switch")));
}

#[test]
fn combining_twice_gives_the_password_back() {
    let mut password = *b"a password longer than the nonce\0";
    xor_with_nonce(&mut password, &[1, 2, 3]);
    assert_ne!(&password, b"a password longer than the nonce\0");
    xor_with_nonce(&mut password, &[1, 2, 3]);
    assert_eq!(&password, b"a password longer than the nonce\0");
}
