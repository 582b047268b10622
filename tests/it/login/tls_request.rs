//! The request for TLS, and what a client may send behind it before it has an answer.

use std::io::Read;
use std::net::TcpStream;

use super::{Capabilities, Front, Kind, Login, Raw, Tls, Transport, assert_user};
use crate::support::tls;

#[test]
fn a_client_that_begins_tls_in_the_segment_of_its_request_gets_in() {
    for kind in [Kind::MySql, Kind::MariaDb] {
        let front = Front::of(kind);
        for to_server in [Tls::Off, Tls::On] {
            let login = Login { transport: Transport::TlsAtOnce(tls::trust(front.server)), ..Login::default() };
            assert_user(&mut Raw::open(front.port(to_server), &login), "root");
        }
    }
}

#[test]
fn a_login_in_clear_behind_the_request_is_none() {
    let front = Front::of(Kind::MySql);
    for to_server in [Tls::Off, Tls::On] {
        let mut stream = TcpStream::connect(("127.0.0.1", front.port(to_server))).unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let mut greeting = vec![0; usize::from(head[0])];
        stream.read_exact(&mut greeting).unwrap();
        let capabilities = Capabilities::NEEDED_OF_CLIENT | Capabilities::SSL;
        let mut request = capabilities.bits().to_le_bytes().to_vec();
        request.extend_from_slice(&[0, 0, 0, 64, 45]);
        request.extend_from_slice(&[0; 23]);
        let login = [&request[..], b"root\0\0mysql_native_password\0"].concat();
        let mut bytes = Vec::new();
        candado::wire::packet::put(&request, 1, &mut bytes);
        candado::wire::packet::put(&login, 2, &mut bytes);
        std::io::Write::write_all(&mut stream, &bytes).unwrap();
        let mut answer = Vec::new();
        // The end of the connection may be a reset.
        let _ended = stream.read_to_end(&mut answer);
        // A TLS alert, or nothing: no packet of the protocol.
        assert!(answer.is_empty() || answer[0] == 0x15, "{}", answer.escape_ascii());
    }
}
