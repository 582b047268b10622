use super::*;
use crate::schema::ServerVersion;
use crate::sql::SqlMode;

fn mysql() -> Dialect {
    Dialect {
        mode: SqlMode::STRICT,
        charset: Charset::Utf8mb4,
        server: ServerVersion { kind: ServerKind::MySql, number: 90_704 },
    }
}

fn mariadb() -> Dialect {
    Dialect { server: ServerVersion { kind: ServerKind::MariaDb, number: 101_118 }, ..mysql() }
}

/// Tokens as `Kind:text`, or the error.
fn cut(sql: impl AsRef<[u8]>, dialect: Dialect) -> String {
    let sql = sql.as_ref();
    let mut tokens = Vec::new();
    match lex(sql, &dialect, &mut tokens) {
        Ok(()) => tokens
            .iter()
            .map(|token| format!("{:?}:{}", token.kind, token.bytes(sql).escape_ascii()))
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => format!("{error:?}"),
    }
}

fn with(mode: SqlMode) -> Dialect {
    Dialect { mode, ..mysql() }
}

#[test]
fn strings_end_where_the_mode_says() {
    assert_eq!(cut(r"'a\'b'", mysql()), r"String:\'a\\\'b\'");
    assert_eq!(cut(r"'a\'", mysql()), "UnclosedQuote(0)");
    assert_eq!(cut(r"'a\'", with(SqlMode::NO_BACKSLASH_ESCAPES)), r"String:\'a\\\'");
    assert_eq!(cut("'a''b' 'c'", mysql()), r"String:\'a\'\'b\' String:\'c\'");
    assert_eq!(cut("\"a\"", mysql()), "String:\\\"a\\\"");
    assert_eq!(cut("\"a\"", with(SqlMode::ANSI_QUOTES)), "QuotedIdentifier:\\\"a\\\"");
    assert_eq!(
        cut("n'a' _latin1'b' _nothing'c'", mysql()),
        r"NationalString:n\'a\' Introducer:_latin1 String:\'b\' Word:_nothing String:\'c\'"
    );
}

#[test]
fn line_comments_need_what_the_server_needs() {
    assert_eq!(cut("1 -- a\n2", mysql()), "Integer:1 Integer:2");
    assert_eq!(cut("1--a", mysql()), "Integer:1 Minus:- Minus:- Word:a");
    assert_eq!(cut("1 --", mysql()), "Integer:1");
    assert_eq!(cut("1 --\x01a", mysql()), "Integer:1");
    assert_eq!(cut("1 # a\r2", mysql()), "Integer:1");
    assert_eq!(cut("1 -- a\0b", mysql()), "NulByte(6)");
    assert_eq!(cut("1 /*/ */ 2", mysql()), "Integer:1 Integer:2");
    assert_eq!(cut("1 /*/ 2", mysql()), "UnclosedComment(2)");
}

#[test]
fn versioned_comments_are_code_up_to_the_server_version() {
    assert_eq!(cut("/*!50000 1*/ 2", mysql()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!99999 1*/ 2", mysql()), "Integer:2");
    assert_eq!(cut("/*!99999 1 /* a */ ' */ 2", mysql()), "Integer:2");
    assert_eq!(cut("/*! 1*/ 2", mysql()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!1234 */ 2", mysql()), "Integer:1234 Integer:2");
    assert_eq!(cut("/*!080000 1*/ 2", mysql()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!800001+1*/ 2", mysql()), "AmbiguousVersion(0)");
    assert_eq!(cut("/*!0800001 1*/ 2", mysql()), "AmbiguousVersion(0)");
    assert_eq!(cut("/*!50000 1 /*!50000 2*/ */", mysql()), "AmbiguousVersion(11)");
    assert_eq!(cut("/*!50000 '*/' */ 2", mysql()), r"String:\'*/\' Integer:2");
    assert_eq!(cut("/*!50000 1", mysql()), "UnclosedComment(0)");
    assert_eq!(cut("/*M! 1*/ 2", mysql()), "Integer:2");
}

#[test]
fn versioned_comments_of_mysql_are_not_mariadbs() {
    assert_eq!(cut("/*M! 1*/ 2", mariadb()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!50701 1*/ 2", mariadb()), "Integer:2");
    assert_eq!(cut("/*M!50701 1*/ 2", mariadb()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!1001001+1*/ 2", mariadb()), "AmbiguousVersion(0)");
    assert_eq!(cut("/*!100100 1*/ 2", mariadb()), "Integer:1 Integer:2");
    assert_eq!(cut("/*!110100 1*/ 2", mariadb()), "Integer:2");
}

#[test]
fn numbers_and_names_that_look_like_them() {
    assert_eq!(
        cut("1e5a 1FROM 1e 0x1FROM 0X41", mysql()),
        "Float:1e5 Word:a Identifier:1FROM Identifier:1e Identifier:0x1FROM Identifier:0X41"
    );
    assert_eq!(
        cut("0x41 0b01 x'41' b'1' 1.5 .5 5. 1e-3 1.e3", mysql()),
        r"Hex:0x41 Bit:0b01 Hex:x\'41\' Bit:b\'1\' Decimal:1.5 Decimal:.5 Decimal:5. Float:1e-3 Float:1.e3"
    );
    assert_eq!(cut("t 1.e.phone", mysql()), "UnfinishedExponent(2)");
    assert_eq!(cut("x'4'", mysql()), "MalformedLiteral(0)");
    assert_eq!(
        cut("t.1a t.select select.t t . select", mysql()),
        "Identifier:t Dot:. Identifier:1a Identifier:t Dot:. Identifier:select Identifier:select Dot:. Identifier:t Word:t Dot:. Word:select"
    );
    assert_eq!(cut("`t`.1a .5e1", mysql()), "QuotedIdentifier:`t` Decimal:.1 Word:a Float:.5e1");
}

#[test]
fn operators_that_mysql_loses_are_refused() {
    assert_eq!(cut("!!0", mysql()), "AmbiguousOperator(0)");
    assert_eq!(cut("!!0", mariadb()), "Bang:! Bang:! Integer:0");
    assert_eq!(cut("1=!0", mysql()), "AmbiguousOperator(1)");
    assert_eq!(cut("1>=!0", mysql()), "Integer:1 GreaterEqual:>= Bang:! Integer:0");
    assert_eq!(
        cut("a->'$'->>'b' := || && <=>", mysql()),
        r"Word:a Arrow:-> String:\'$\' ArrowText:->> String:\'b\' Assign::= PipePipe:|| AmpersandAmpersand:&& NullSafeEqual:<=>"
    );
    assert_eq!(cut("a->b", mariadb()), "Word:a Minus:- Greater:> Word:b");
    assert_eq!(cut("\\N", mariadb()), "Null:\\\\N");
    assert_eq!(cut("\\N", mysql()), "UnexpectedByte(0)");
}

#[test]
fn variables_are_one_token() {
    assert_eq!(
        cut("@a.b @'x y' @`z` @@session.sql_mode @@`v`", mysql()),
        r"UserVariable:@a.b UserVariable:@\'x y\' UserVariable:@`z` SystemVariable:@@session Dot:. Identifier:sql_mode SystemVariable:@@`v`"
    );
    assert_eq!(cut("@ a", mysql()), "EmptyVariable(0)");
    assert_eq!(cut("@@ a", mysql()), "EmptyVariable(0)");
}

#[test]
fn the_character_set_decides_about_high_bytes() {
    let latin1 = Dialect { charset: Charset::Latin1, ..mysql() };
    let binary = Dialect { charset: Charset::Binary, ..mysql() };
    assert_eq!(cut(b"1\xA02", latin1), "Integer:1 Integer:2");
    assert_eq!(cut(b"\xE9", latin1), r"Word:\xe9");
    assert_eq!(cut(b"\xE9", binary), "UnexpectedByte(0)");
    assert_eq!(cut(b"\xE9", mysql()), "InvalidCharacter(0)");
    assert_eq!(cut("é\u{3000}b", mysql()), r"Word:\xc3\xa9\xe3\x80\x80b");
    // The server cuts a quoted name at the invalid byte: it would be another name.
    assert_eq!(cut(b"`phone\xFF`", mysql()), "InvalidCharacter(0)");
    assert_eq!(cut(b"'\xFF'", mysql()), r"String:\'\xff\'");
    assert_eq!(cut("a\0", mysql()), "NulByte(1)");
    assert_eq!(cut("$a$ b", mysql()), "DollarQuote(0)");
    assert_eq!(cut("$a b$", mysql()), "Word:$a Word:b$");
}

#[test]
fn comments_leave_marks() {
    let marks = |sql: &str| {
        let mut tokens = Vec::new();
        lex(sql.as_bytes(), &mysql(), &mut tokens).unwrap();
        tokens.iter().map(|token| token.marks).collect::<Vec<_>>()
    };
    assert_eq!(marks("a /* x */ b"), [Marks::BLOCK_AFTER, Marks::empty()]);
    assert_eq!(marks("/* x */ b"), [Marks::COMMENT_BEFORE]);
    assert_eq!(marks("a /*!50000 b */"), [Marks::empty(), Marks::VERSIONED]);
    assert_eq!(marks("a /*!99999 b */"), [Marks::SKIPPED_AFTER]);
    let remark = Marks::DASH_AFTER | Marks::COMMENTED_QUOTE | Marks::COMMENTED_TEXT;
    assert_eq!(marks("a -- ' x"), [remark | Marks::COMMENTED_HALF]);
    assert_eq!(marks("a -- b')"), [remark | Marks::COMMENTED_HALF]);
    assert_eq!(marks("a -- 'b\" c'"), [remark | Marks::COMMENTED_HALF]);
    for whole in ["a -- 'b'", "a -- the users' b", "a -- don't 'b' \"c\""] {
        assert_eq!(marks(whole), [remark], "{whole}");
    }
    assert_eq!(marks("a # x\nb -- -"), [Marks::HASH_AFTER, Marks::DASH_AFTER]);
    assert_eq!(marks("select /*+ NO_ICP(t) */ 1"), [Marks::HINT_AFTER, Marks::empty()]);
    assert_eq!(cut("select /*+ a('*/ b') */ 1", mysql()), "AmbiguousHint(7)");
}
