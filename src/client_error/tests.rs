use std::collections::BTreeSet;

use super::*;
use crate::plan::{Subject, UnknownName, Verb};
use crate::policy::{Account, NotAHash};
use crate::schema::{ColumnRef, TableRef};

fn column() -> ColumnRef {
    ColumnRef::new("shop", "customers", "phone")
}

fn account() -> Account {
    Account { user: "engineer".into(), host: "%".into() }
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Firewall { rule: "tautology" },
        Refusal::Denied { verb: Verb::Select, column: column(), account: account() },
        Refusal::Administration,
        Refusal::Unsupported { subject: Subject::Column(column()), construct: "ORDER BY", remedy: "sort by another" },
        Refusal::Unsupported { subject: Subject::Table(TableRef::new("a", "b")), construct: "x", remedy: "y" },
        Refusal::UnknownName { name: UnknownName::Column("fone".into()) },
        Refusal::NotReady,
    ]
}

fn rewrites() -> Vec<RewriteError> {
    vec![
        RewriteError::TooLong { column: column() },
        RewriteError::NotText { column: column() },
        RewriteError::NotAHash { column: column(), why: NotAHash::Unknown },
        RewriteError::NotAHash { column: column(), why: NotAHash::TooCheap("bcrypt") },
        RewriteError::Unsupported { column: column(), construct: "a number", remedy: "use a string" },
        RewriteError::KeyUnavailable { column: column() },
        RewriteError::NoActiveKey { column: column() },
        RewriteError::KeyBarred { column: column() },
        RewriteError::IndexKeyBarred { column: column() },
        RewriteError::UnknownKey { column: column(), kid: crate::crypto::KeyId::new(7).unwrap() },
        RewriteError::NoRandom { column: column() },
        RewriteError::Tampered { column: column() },
        RewriteError::Unplanned { column: column() },
        RewriteError::Bait { column: column() },
        RewriteError::Outdated,
        RewriteError::TooLarge,
        RewriteError::Wire(WireError::Truncated("row")),
        RewriteError::Wire(WireError::Malformed("row")),
        RewriteError::Wire(WireError::TooLarge("row")),
        RewriteError::Wire(WireError::Unexpected("row")),
        RewriteError::PlanMismatch("columns"),
    ]
}

fn complaints() -> Vec<Complaint> {
    use Complaint::*;
    vec![
        TooManyConnections,
        ShuttingDown,
        Drained,
        Idle,
        ServerUnreachable,
        ServerWithoutTls,
        ServerTooOld,
        TlsRequired,
        ClientTooOld,
        PluginNotCarried,
        PasswordNotDecrypted,
        CharacterSet,
        UnknownCommand,
        CopyingDenied,
        PacketTooLarge,
        OutOfOrder,
        Malformed,
        TooManyPrepared,
        UnknownStatement,
        NeedsReprepare,
        ViewReplaced,
        CatalogNotLoaded,
        KeysNotLoaded,
        WriteLeaseOver,
        ProtectedColumn,
        TooManySigns,
        Bait,
        NotRecorded,
        NotRecordable,
        BudgetSpent,
        TooManySearches,
        StateNotRead,
        PasswordExpired,
        ShadowOver,
    ]
}

#[test]
fn every_error_has_a_row_and_every_row_an_error() {
    let refusals = refusals();
    let rewrites = rewrites();
    let used: BTreeSet<(u16, [u8; 5])> = refusals
        .iter()
        .map(ClientError::from)
        .chain(rewrites.iter().map(ClientError::from))
        .chain(complaints().into_iter().map(ClientError::from))
        .map(|error| (error.code, error.sqlstate))
        .collect();
    let rows: BTreeSet<(u16, [u8; 5])> = ROWS.iter().map(|row| (row.code, row.sqlstate)).collect();
    assert_eq!(used, rows);
    assert_eq!(rows.len(), ROWS.len(), "a code stands twice");
    assert!(ROWS.is_sorted_by_key(|row| row.code));
}

#[test]
fn the_codes_are_those_that_drivers_class_rightly() {
    let code = |refusal: &Refusal| ClientError::from(refusal).code;
    assert_eq!(refusals().iter().map(code).collect::<Vec<_>>(), [6444, 1143, 1227, 1235, 1235, 1235, 3185]);
    let code = |error: &RewriteError| ClientError::from(error).code;
    assert_eq!(
        rewrites().iter().map(code).collect::<Vec<_>>(),
        [
            1406, 1366, 1366, 1366, 1235, 3185, 3185, 3185, 3185, 3185, 1105, 1105, 1143, 6444, 1615, 1153, 1835, 1835,
            1153, 1156, 1105
        ]
    );
}

#[test]
fn a_firewall_rule_is_not_told_to_the_client() {
    let error = ClientError::from(&Refusal::Firewall { rule: "tautology" }).with_reference(18, 42);
    assert_eq!(error.text, "Access denied: statement refused by policy (ref 18:42)");
}

#[test]
fn that_a_result_has_bait_is_not_told_to_the_client() {
    let bait = ClientError::from(&RewriteError::Bait { column: column() });
    assert_eq!(bait, ClientError::from(&Refusal::Firewall { rule: "tautology" }));
}

#[test]
fn a_denied_column_reads_as_the_server_would_say_it() {
    let denied = Refusal::Denied { verb: Verb::Select, column: column(), account: account() };
    assert_eq!(
        ClientError::from(&denied).with_reference(1, 2).text,
        "SELECT command denied to user 'engineer'@'%' for column 'phone' in table 'customers' (ref 1:2)"
    );
}

#[test]
fn what_the_server_would_answer_keeps_the_servers_text() {
    for complaint in [Complaint::UnknownCommand, Complaint::UnknownStatement, Complaint::PasswordExpired] {
        let error = ClientError::from(complaint);
        assert_eq!(error.clone().with_reference(1, 2), error);
    }
}

#[test]
fn a_duplicate_is_told_without_the_envelope() {
    let told = |text: &str| {
        let mut payload = vec![0xff, 0x26, 0x04];
        payload.extend_from_slice(b"#23000");
        payload.extend_from_slice(text.as_bytes());
        without_envelope(&payload).map(|payload| String::from_utf8(payload[9..].to_vec()).unwrap())
    };
    let duplicate = |entry: &str| told(&format!("Duplicate entry '{entry}' for key 'customers.u'"));
    let hidden = Some("Duplicate entry '<protected>' for key 'customers.u'".to_owned());
    assert_eq!(duplicate(r"\xC1\xFE\x1D\x01\x10\x00\x01\xEC'..."), hidden);
    assert_eq!(duplicate(r"1-\xC1\xFE\x1D\x01\x10\x00\x01\xEC\..."), hidden);
    assert_eq!(duplicate("090"), None);
    let nameless = Some("Duplicate entry '<protected>'".to_owned());
    assert_eq!(told(r"\xC1\xFE\x1D in another language"), nameless);
    assert_eq!(told(r"another order: 'customers.u', '\xC1\xFE\x1D\x01\x10'"), nameless);
    // Among the diagnostics.
    let message = |code: &str, text: &str| {
        message_without_envelope(code.as_bytes(), text.as_bytes()).map(|text| String::from_utf8(text).unwrap())
    };
    assert_eq!(message("1062", r"Duplicate entry '\xC1\xFE\x1D\x01' for key 'customers.u'"), hidden);
    assert_eq!(message("1366", r"Incorrect string value: '\xC1\xFE\x1D\x01'"), Some("<protected>".to_owned()));
    assert_eq!(message("1062", "Duplicate entry '090' for key 'customers.u'"), None);
    // Another error, and what is none.
    assert_eq!(without_envelope(&[&[0xff, 0x28, 0x04][..], br"#42000\xC1\xFE\x1D"].concat()), None);
    assert_eq!(without_envelope(&[0xff, 0x26, 0x04]), None);
}
