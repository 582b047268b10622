//! Lines of the record of accesses, texts of profiles, and what a comment says of its application: any bytes are read or
//! refused, and what is written from them reads the same.
#![no_main]

use candado::audit::caller::{application, said, traceparent};
use candado::audit::{Accessed, Parsed};
use candado::firewall::profile::{Shape, entry};
use candado::schema::{Charset, ServerKind, ServerVersion};
use candado::sql::{Dialect, SqlMode, lex};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(line) = Parsed::read(data) {
        assert!(data.starts_with(line.signed.as_bytes()) && data.ends_with(line.mac.as_bytes()));
        assert_eq!(line.signed.len() + line.mac.len(), data.len());
        assert!(line.lost().is_none() || line.access().is_none(), "a line is of one kind");
        if let Some(access) = line.access() {
            for field in [access.account, access.role, access.application, access.traceparent] {
                assert!(Accessed::text(field).len() <= field.len() * 2, "a byte beyond ASCII takes two");
            }
            let columns = access.columns.split(',').count();
            assert!(access.shares().count() <= columns);
        }
    }
    let text = String::from_utf8_lossy(data);
    let _ = Shape::parse(&text);
    if let Ok(entries) = entry::read(&text) {
        let written = entry::write(&entries);
        // What was written shorter than we write it may be too long the second time.
        if let Ok(again) = entry::read(&written) {
            assert_eq!(entry::write(&again), written);
        }
    }
    caller(data);
});

/// What is kept of a client's words has a form that leaves no room for a value.
fn caller(sql: &[u8]) {
    let dialect = Dialect {
        mode: SqlMode::empty(),
        charset: Charset::Utf8mb4,
        server: ServerVersion { kind: ServerKind::MySql, number: 90_704 },
    };
    let mut tokens = Vec::new();
    if lex(sql, &dialect, &mut tokens).is_err() {
        return;
    }
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
    let said = said(sql, first.start as usize, last.end as usize);
    for name in said.application.iter() {
        assert_eq!(application(name.as_bytes()).as_ref(), Some(name));
    }
    for trace in said.traceparent.iter() {
        assert_eq!(traceparent(trace.as_bytes()).as_ref(), Some(trace));
    }
}
