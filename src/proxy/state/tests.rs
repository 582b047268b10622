use super::*;
use crate::wire::lenenc;

fn probed(tracked_before: &str) -> Probed {
    Probed {
        tracked_before: tracked_before.into(),
        sql_mode: "STRICT_TRANS_TABLES,ANSI_QUOTES".into(),
        client_charset: "utf8mb4".into(),
        results_charset: Some("utf8mb4".into()),
        results_collation: 255,
        account: "a@b@10.0.0.%".into(),
        database: None,
        roles: Some("`reporting`@`%`".into()),
    }
}

fn state(tracked_before: &str) -> State {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    State::new(probed(tracked_before), server, None).unwrap()
}

fn ok_packet(entries: &[(u8, &[&[u8]])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, parts) in entries {
        let mut data = Vec::new();
        for part in *parts {
            lenenc::put_string(part, &mut data);
        }
        all.push(*kind);
        lenenc::put_string(&data, &mut all);
    }
    let mut packet = vec![0, 0, 0, 2, 0x40, 0, 0, 0];
    lenenc::put_string(&all, &mut packet);
    packet
}

#[test]
fn the_account_is_split_at_its_last_at_sign() {
    let state = state("");
    assert_eq!((&*state.account.user, &*state.account.host), ("a@b", "10.0.0.%"));
    assert_eq!(state.mode, SqlMode::STRICT | SqlMode::ANSI_QUOTES);
}

#[test]
fn only_what_the_client_did_not_ask_for_is_hidden() {
    let state = state("autocommit,SQL_MODE");
    assert!(!state.is_hidden(b"sql_mode") && !state.is_hidden(b"autocommit") && !state.is_hidden(b"time_zone"));
    assert!(state.is_hidden(b"session_track_schema"));
    assert!(!self::state("*").is_hidden(b"session_track_schema"));
}

#[test]
fn a_list_that_the_proxy_made_is_not_taken_for_the_client_s() {
    let before = state("autocommit");
    let server = before.server;
    let again = probed(
        "autocommit,character_set_client,character_set_results,session_track_schema,\
        session_track_system_variables,sql_mode",
    );
    assert!(State::new(again.clone(), server, Some(&before)).unwrap().is_hidden(b"sql_mode"));
    assert!(!State::new(again, server, None).unwrap().is_hidden(b"sql_mode"));
    let other = State::new(probed("sql_mode"), server, Some(&before)).unwrap();
    assert!(!other.is_hidden(b"sql_mode") && other.is_hidden(b"session_track_schema"));
}

#[test]
fn results_in_a_set_that_is_not_written_stop_statements() {
    let mut state = state("");
    let packet = ok_packet(&[(0, &[b"character_set_results", b"latin1"])]);
    state.observe(&OkPacket::parse(&packet).unwrap()).unwrap();
    assert_eq!((state.results, state.results_collation), (Results::Converted(Charset::Latin1), None));
    assert!(state.dialect().is_some());
    let packet = ok_packet(&[(0, &[b"character_set_results", b"utf16"])]);
    state.observe(&OkPacket::parse(&packet).unwrap()).unwrap();
    assert!(state.dialect().is_none());
}

#[test]
fn reports_are_taken_over() {
    let mut state = state("");
    let packet = ok_packet(&[
        (0, &[b"sql_mode", b"NO_BACKSLASH_ESCAPES"]),
        (0, &[b"character_set_client", b"gbk"]),
        (1, &[b"shop"]),
    ]);
    state.observe(&OkPacket::parse(&packet).unwrap()).unwrap();
    assert_eq!(state.mode, SqlMode::NO_BACKSLASH_ESCAPES);
    assert_eq!(state.dialect(), None, "gbk is not read");
    assert_eq!(state.database.as_deref(), Some("shop"));
    assert_eq!(state.freshness, Freshness::Known);
    let packet = ok_packet(&[(0, &[b"session_track_schema", b"OFF"])]);
    state.observe(&OkPacket::parse(&packet).unwrap()).unwrap();
    assert_eq!(state.freshness, Freshness::Stale);
}

#[test]
fn a_status_that_contradicts_the_mode_makes_the_state_stale() {
    let mut state = state("");
    state.observe_status(Status::AUTOCOMMIT);
    assert_eq!(state.freshness, Freshness::Known);
    state.observe_status(Status::AUTOCOMMIT | Status::NO_BACKSLASH_ESCAPES);
    assert_eq!(state.freshness, Freshness::Stale);
}

#[test]
fn every_status_says_whether_a_transaction_is_open() {
    let mut state = state("");
    assert_eq!(state.transaction, Transaction::None);
    state.observe_status(Status::IN_TRANS);
    assert_eq!(state.transaction, Transaction::Open);
    state.observe_status(Status::AUTOCOMMIT);
    assert_eq!(state.transaction, Transaction::None);
}

#[test]
fn statements_that_may_stop_tracking_are_seen() {
    assert!(may_stop_tracking(b"SET @@session.`SESSION_TRACK_system_variables`=''"));
    assert!(may_stop_tracking(b"session_track"));
    assert!(!may_stop_tracking(b"SELECT * FROM tracks WHERE session_trac = 'k'"));
    assert!(!may_stop_tracking(b""));
}

#[test]
fn versions_are_those_of_versioned_comments() {
    for (text, kind, number) in [
        ("9.7.4-2", ServerKind::MySql, 90_704),
        ("8.0.36", ServerKind::MySql, 80_036),
        ("5.5.5-10.11.18-MariaDB-0+deb12u1", ServerKind::MariaDb, 101_118),
        ("11.4.2-MariaDB", ServerKind::MariaDb, 110_402),
        ("", ServerKind::MySql, 0),
    ] {
        assert_eq!(parse_version(text.as_bytes()), ServerVersion { kind, number }, "{text}");
    }
}

#[test]
fn the_roles_are_those_of_the_login() {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let before = state("");
    assert_eq!(*before.mysql_roles, MysqlRole::active("`reporting`@`%`"));
    for later in [Some("NONE"), Some("`everything`@`%`"), None] {
        let probed = Probed { roles: later.map(str::to_owned), ..probed("") };
        assert_eq!(State::new(probed.clone(), server, Some(&before)).unwrap().mysql_roles, before.mysql_roles);
        // A login has none before it, and neither has another account.
        let own: Vec<MysqlRole> = MysqlRole::active(later.unwrap_or_default());
        assert_eq!(*State::new(probed.clone(), server, None).unwrap().mysql_roles, own);
        let other = Probed { account: "other@%".into(), ..probed };
        assert_eq!(*State::new(other, server, Some(&before)).unwrap().mysql_roles, own);
    }
}
