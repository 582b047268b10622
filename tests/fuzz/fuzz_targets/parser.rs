//! Any bytes in any dialect: the parser ends without a panic, and what it read can be printed.
#![no_main]

use candado::schema::{Charset, ServerKind, ServerVersion};
use candado::sql::{Dialect, ReservedWords, SqlMode, lex, parenthesised, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [settings, sql @ ..] = data else { return };
    let kind = if settings & 128 == 0 { ServerKind::MySql } else { ServerKind::MariaDb };
    let dialect = Dialect {
        mode: SqlMode::from_bits_truncate(*settings),
        charset: Charset::Utf8mb4,
        server: ServerVersion { kind, number: 90_704 },
    };
    let mut tokens = Vec::new();
    if lex(sql, &dialect, &mut tokens).is_err() {
        return;
    }
    if let Ok(statement) = parse(sql, &tokens, &dialect, &ReservedWords::Default(kind)) {
        parenthesised(sql, &tokens, &statement);
    }
});
