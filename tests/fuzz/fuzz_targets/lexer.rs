//! Any bytes in any dialect: tokens lie in order inside the statement, and everything that reads tokens survives them.
#![no_main]

use candado::schema::{Charset, ServerKind, ServerVersion};
use candado::sql::{Dialect, SqlMode, lex, literal_text, name, normalise, statement_class, statements};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [settings, sql @ ..] = data else { return };
    let dialect = Dialect {
        mode: SqlMode::from_bits_truncate(*settings),
        charset: if settings & 64 == 0 { Charset::Utf8mb4 } else { Charset::Latin1 },
        server: if settings & 128 == 0 {
            ServerVersion { kind: ServerKind::MySql, number: 90_704 }
        } else {
            ServerVersion { kind: ServerKind::MariaDb, number: 101_118 }
        },
    };
    let mut tokens = Vec::new();
    if lex(sql, &dialect, &mut tokens).is_err() {
        return;
    }
    let mut end = 0;
    for (at, token) in tokens.iter().enumerate() {
        assert!(token.start >= end && token.end > token.start && token.end as usize <= sql.len());
        end = token.end;
        name(sql, *token);
        let _ = literal_text(sql, &tokens[at..tokens.len().min(at + 3)], &dialect);
    }
    let mut digest = Vec::new();
    normalise(sql, &tokens, &mut digest);
    statement_class(sql, &tokens);
    statements(sql, &tokens);
});
