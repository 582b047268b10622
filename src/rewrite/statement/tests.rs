use super::*;
use crate::policy::ColumnId;
use crate::rewrite::fixture::{Fixture, Lexed, NOTES, PHONE, dialect};
use crate::schema::Charset;
use crate::sql::{Dialect, SqlMode, TokenKind};
use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use proptest::prelude::*;

fn sealing(tokens: TokenRange, column: ColumnId) -> Splice {
    Splice { tokens, column, kind: SpliceKind::Seal(Value::Literal(tokens)), subject: None }
}

fn search(lexed: &Lexed<'_>, whole: &str, column: &str, comparison: Comparison, values: Vec<Value>) -> Splice {
    let kind = SpliceKind::Search { column_tokens: lexed.find(column), comparison, values };
    Splice { tokens: lexed.find(whole), column: PHONE, kind, subject: None }
}

/// Seals the literal in the statement and gives the text around it and the value that the envelope holds.
fn sealed(sql: &str, literal: &str, column: ColumnId, dialect: Dialect) -> Result<(String, Vec<u8>), RewriteError> {
    let fixture = Fixture::new();
    let cx = Context { dialect, ..fixture.cx() };
    let lexed = Lexed::new(sql.as_bytes(), &dialect);
    let out = lexed.splice(&[sealing(lexed.find(literal), column)], &cx)?.unwrap();
    let out = String::from_utf8(out).unwrap();
    let (before, rest) = out.split_once("x'").unwrap();
    let (digits, after) = rest.split_once('\'').unwrap();
    let envelope = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap();
    Ok((format!("{before}…{after}"), fixture.opened(column, &envelope)))
}

fn hex_range(fixture: &Fixture, column: &str, value: &str) -> String {
    let (low, high) = fixture.ranges(PHONE, value.as_bytes()).remove(0);
    format!("({column} >= x'{}' AND {column} < x'{}')", HEXUPPER.encode(&low), HEXUPPER.encode(&high))
}

#[test]
fn a_literal_becomes_its_envelope() {
    let (text, value) =
        sealed("INSERT INTO customers (phone) VALUES ('090-1234')", "'090-1234'", PHONE, dialect()).unwrap();
    assert_eq!((text.as_str(), value.as_slice()), ("INSERT INTO customers (phone) VALUES (…)", &b"090-1234"[..]));
}

#[test]
fn every_spelling_of_a_string_is_its_value() {
    for (literal, value) in [
        ("'it''s'", "it's"),
        (r"'a\'b\n'", "a'b\n"),
        ("\"double\"", "double"),
        ("'two' 'parts'", "twoparts"),
        ("_utf8mb4'né'", "né"),
        ("N'né'", "né"),
        ("x'6e65'", "ne"),
        ("0x6e65", "ne"),
        ("''", ""),
        ("'\u{1f600}'", "\u{1f600}"),
    ] {
        let sql = format!("UPDATE customers SET notes = {literal} WHERE id = 1");
        let (text, found) = sealed(&sql, literal, NOTES, dialect()).unwrap();
        assert_eq!(text, "UPDATE customers SET notes = … WHERE id = 1", "{literal}");
        assert_eq!(found, value.as_bytes(), "{literal}");
    }
}

#[test]
fn mode_and_character_set_decide_what_a_literal_says() {
    let plain = Dialect { mode: SqlMode::NO_BACKSLASH_ESCAPES, ..dialect() };
    assert_eq!(sealed(r"SET notes='a\'", r"'a\'", NOTES, plain).unwrap().1, br"a\");
    let fixture = Fixture::new();
    let latin1 = Dialect { charset: Charset::Latin1, ..dialect() };
    let lexed = Lexed::new(b"SET notes='n\xe9'", &latin1);
    let last = u32::try_from(lexed.tokens.len()).unwrap() - 1;
    let splice = sealing(TokenRange { first: last, last }, NOTES);
    let out = lexed.splice(&[splice], &Context { dialect: latin1, ..fixture.cx() }).unwrap().unwrap();
    let digits = out.strip_prefix(b"SET notes=x'").and_then(|rest| rest.strip_suffix(b"'")).unwrap();
    assert_eq!(fixture.opened(NOTES, &HEXLOWER_PERMISSIVE.decode(digits).unwrap()), "né".as_bytes());
}

#[test]
fn blanks_keep_the_literal_apart_from_words() {
    let (text, _) = sealed("SET notes=CASE WHEN a THEN'x'ELSE b END", "'x'", NOTES, dialect()).unwrap();
    assert_eq!(text, "SET notes=CASE WHEN a THEN … ELSE b END");
    let (text, _) = sealed("VALUES('x')", "'x'", NOTES, dialect()).unwrap();
    assert_eq!(text, "VALUES(…)");
}

#[test]
fn a_value_that_does_not_fit_is_refused_in_any_mode() {
    let fits = "x".repeat(20);
    for mode in [SqlMode::STRICT, SqlMode::empty()] {
        let dialect = Dialect { mode, ..dialect() };
        let sql = format!("SET phone='{fits}'");
        assert_eq!(sealed(&sql, &format!("'{fits}'"), PHONE, dialect).unwrap().1, fits.as_bytes());
        let sql = format!("SET phone='{fits}   '");
        assert_eq!(sealed(&sql, &format!("'{fits}   '"), PHONE, dialect).unwrap().1, fits.as_bytes());
        let sql = format!("SET phone='{fits}y'");
        let too_long = RewriteError::TooLong { column: Fixture::new().name(PHONE) };
        assert_eq!(sealed(&sql, &format!("'{fits}y'"), PHONE, dialect), Err(too_long));
    }
}

#[test]
fn parameters_and_null_are_left_to_others() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"SET phone = ?, notes = NULL", &dialect());
    let splices = [
        Splice { tokens: lexed.find("?"), column: PHONE, kind: SpliceKind::Seal(Value::Param(0)), subject: None },
        Splice { tokens: lexed.find("NULL"), column: NOTES, kind: SpliceKind::Seal(Value::Null), subject: None },
    ];
    assert_eq!(lexed.splice(&splices, &fixture.cx()), Ok(None));
    assert_eq!(lexed.splice(&[], &fixture.cx()), Ok(None));
}

#[test]
fn a_comparison_becomes_ranges_and_the_rest_keeps_its_bytes() {
    let fixture = Fixture::new();
    let sql = "SELECT id /* why */ FROM customers c WHERE c.`phone` = '090' AND id > 3 -- end";
    let lexed = Lexed::new(sql.as_bytes(), &dialect());
    let value = Value::Literal(lexed.find("'090'"));
    let splice = search(&lexed, "c.`phone` = '090'", "c.`phone`", Comparison::Equal, vec![value]);
    let out = lexed.splice(&[splice], &fixture.cx()).unwrap().unwrap();
    let range = hex_range(&fixture, "c.`phone`", "090");
    let expected = format!("SELECT id /* why */ FROM customers c WHERE {range} AND id > 3 -- end");
    assert_eq!(str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn a_list_becomes_alternatives_with_parameters_and_null() {
    let fixture = Fixture::new();
    let sql = "SELECT 1 FROM customers WHERE phone NOT IN ('a', ?, NULL)";
    let lexed = Lexed::new(sql.as_bytes(), &dialect());
    let values = vec![Value::Literal(lexed.find("'a'")), Value::Param(0), Value::Null];
    let splice = search(&lexed, "phone NOT IN ('a', ?, NULL)", "phone", Comparison::NotEqual, values);
    let out = lexed.splice(&[splice], &fixture.cx()).unwrap().unwrap();
    let range = hex_range(&fixture, "phone", "a");
    let expected =
        format!("SELECT 1 FROM customers WHERE (NOT ({range} OR (phone >= ? AND phone < ?) OR (phone = NULL)))");
    assert_eq!(str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn each_live_index_key_has_its_range() {
    let fixture = Fixture::with_index_versions(2);
    let lexed = Lexed::new(b"WHERE phone = ?", &dialect());
    let splice = search(&lexed, "phone = ?", "phone", Comparison::Equal, vec![Value::Param(0)]);
    let out = lexed.splice(&[splice], &fixture.cx()).unwrap().unwrap();
    assert_eq!(out, b"WHERE ((phone >= ? AND phone < ?) OR (phone >= ? AND phone < ?))");
}

#[test]
fn a_versioned_comment_within_a_span_is_refused() {
    let fixture = Fixture::new();
    for (gap, plain) in [
        (" = ", true),
        ("/* c */ =\t\n", true),
        (" -- c /*! */\n = ", true),
        ("#c\n=", true),
        ("/*/ c */=", true),
        (" /*! = ", false),
        ("/*! */ = ", false),
        ("/*!99999 x */ = ", false),
    ] {
        let close = if gap == " /*! = " { " */" } else { "" };
        let sql = format!("WHERE phone{gap}'090'{close}");
        let lexed = Lexed::new(sql.as_bytes(), &dialect());
        let value = Value::Literal(lexed.find("'090'"));
        let splice = search(&lexed, &format!("phone{gap}'090'"), "phone", Comparison::Equal, vec![value]);
        let result = lexed.splice(&[splice], &fixture.cx());
        match result {
            Ok(out) => {
                assert!(plain, "{gap}");
                assert_eq!(out.unwrap(), format!("WHERE {}", hex_range(&fixture, "phone", "090")).as_bytes());
            }
            Err(error) => assert!(!plain && matches!(error, RewriteError::Unsupported { .. }), "{gap}: {error}"),
        }
    }
}

#[test]
fn a_whole_comparison_inside_a_versioned_comment_is_rewritten() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"SELECT 1 /*! FROM customers WHERE phone = 'a' */", &dialect());
    let value = Value::Literal(lexed.find("'a'"));
    let splice = search(&lexed, "phone = 'a'", "phone", Comparison::Equal, vec![value]);
    let out = lexed.splice(&[splice], &fixture.cx()).unwrap().unwrap();
    let expected = format!("SELECT 1 /*! FROM customers WHERE {} */", hex_range(&fixture, "phone", "a"));
    assert_eq!(str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn equal_values_are_told_by_their_prefix() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"SELECT c . `phone` FROM customers c GROUP BY 1", &dialect());
    let name = lexed.find("c . `phone`");
    let octets = fixture.ranges(PHONE, b"").remove(0).0.len();
    let last = TokenRange { first: name.last, last: name.last };
    let any = |among| Splice {
        tokens: name,
        column: PHONE,
        kind: SpliceKind::AnyOf { of: Tagged { tokens: name, generated: None }, among, name: Some(last.first) },
        subject: None,
    };
    let kind = SpliceKind::Tag { of: Tagged { tokens: name, generated: None }, like: PHONE };
    let tag = Splice { tokens: lexed.find("1"), column: PHONE, kind, subject: None };
    let text = |splices: &[Splice]| String::from_utf8(lexed.splice(splices, &fixture.cx()).unwrap().unwrap()).unwrap();
    assert_eq!(
        text(&[any(Among::Group), tag]),
        format!(
            "SELECT ANY_VALUE(c . `phone`) AS `phone` FROM customers c GROUP BY SUBSTRING(c . `phone`, 1, {octets})"
        )
    );
    assert_eq!(
        text(&[any(Among::Query)]),
        format!(
            "SELECT MIN(c . `phone`) OVER (PARTITION BY SUBSTRING(c . `phone`, 1, {octets})) AS `phone` FROM customers c \
             GROUP BY 1"
        )
    );
}

#[test]
fn a_simple_case_becomes_a_searched_one() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"SELECT CASE c.phone WHEN 'a' THEN NULLIF(phone,'b')END", &dialect());
    let name = lexed.find("phone");
    let operand = Splice { tokens: lexed.find("c.phone"), column: PHONE, kind: SpliceKind::Operand, subject: None };
    let compared = vec![Value::Literal(lexed.find("'a'"))];
    let when = search(&lexed, "'a'", "c.phone", Comparison::Equal, compared);
    let value = Value::Literal(lexed.find("'b'"));
    let kind = SpliceKind::NullIf { column_tokens: name, value };
    let null_if = Splice { tokens: lexed.find("'b'"), column: PHONE, kind, subject: None };
    let out = lexed.splice(&[operand, when, null_if], &fixture.cx()).unwrap().unwrap();
    let (a, b) = (hex_range(&fixture, "c.phone", "a"), hex_range(&fixture, "phone", "b"));
    let expected = format!("SELECT CASE  WHEN {a} THEN NULLIF(phone,IF({b}, phone, NULL))END");
    assert_eq!(str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn a_constant_is_sealed_whole_or_refused() {
    let fixture = Fixture::new();
    let constant = |sql: &str, literal: &str| {
        let lexed = Lexed::new(sql.as_bytes(), &dialect());
        let tokens = lexed.find(literal);
        let kind = SpliceKind::Constant(Value::Literal(tokens));
        lexed.splice(&[Splice { tokens, column: PHONE, kind, subject: None }], &fixture.cx())
    };
    let out = String::from_utf8(constant("SELECT IFNULL(phone, 'none')", "'none'").unwrap().unwrap()).unwrap();
    let digits = out.strip_prefix("SELECT IFNULL(phone, x'").and_then(|rest| rest.strip_suffix("')")).unwrap();
    assert_eq!(fixture.opened(PHONE, &HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap()), b"none");
    // Blanks in excess would be cut off from a value that is stored.
    let wide = format!("'{}'", " ".repeat(1000));
    let refused = constant(&format!("SELECT IFNULL(phone, {wide})"), &wide);
    assert!(matches!(refused, Err(RewriteError::TooLong { .. })), "{refused:?}");
}

#[test]
fn a_lookup_without_an_index_is_refused() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"WHERE notes = 'a' OR notes = ?", &dialect());
    let kind = |value| SpliceKind::Search {
        column_tokens: lexed.find("notes"),
        comparison: Comparison::Equal,
        values: vec![value],
    };
    for (whole, value) in [("notes = 'a'", Value::Literal(lexed.find("'a'"))), ("notes = ?", Value::Param(0))] {
        let splice = Splice { tokens: lexed.find(whole), column: NOTES, kind: kind(value), subject: None };
        let error = lexed.splice(&[splice], &fixture.cx()).unwrap_err();
        assert!(matches!(error, RewriteError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn a_plan_that_does_not_fit_the_statement_is_refused() {
    let fixture = Fixture::new();
    let lexed = Lexed::new(b"SET phone = 'a'", &dialect());
    let tokens = lexed.find("'a'");
    let beyond = TokenRange { first: tokens.first, last: tokens.last + 1 };
    let unknown = sealing(tokens, ColumnId(99));
    let twice = [sealing(tokens, PHONE), sealing(tokens, PHONE)];
    for splices in [&[sealing(beyond, PHONE)][..], &[unknown], &twice] {
        let error = lexed.splice(splices, &fixture.cx()).unwrap_err();
        assert!(matches!(error, RewriteError::PlanMismatch(_)), "{error}");
    }
}

proptest! {
    /// Bytes outside the spans are equal, and each span holds the value that stood there.
    #[test]
    fn splicing_touches_the_spans_only(
        values in prop::collection::vec("[a-z' ]{0,20}", 1..6),
        blank in "[ \n\t]{0,3}",
    ) {
        let fixture = Fixture::new();
        let quoted: Vec<_> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
        let mut sql = "INSERT INTO customers VALUES".to_owned();
        for literal in &quoted {
            sql.push_str(&format!("({blank}1,{literal}{blank}),"));
        }
        sql.push_str("(2)");
        let lexed = Lexed::new(sql.as_bytes(), &dialect());
        let strings = lexed.tokens.iter().zip(0_u32..).filter(|(token, _)| token.kind == TokenKind::String);
        let splices: Vec<_> =
            strings.map(|(_, index)| sealing(TokenRange { first: index, last: index }, PHONE)).collect();
        prop_assert_eq!(splices.len(), values.len());
        let out = String::from_utf8(lexed.splice(&splices, &fixture.cx()).unwrap().unwrap()).unwrap();
        let mut rest = out.as_str();
        let mut expected = sql.as_str();
        for (value, literal) in values.iter().zip(&quoted) {
            let (before, after) = rest.split_once("x'").unwrap();
            let (sql_before, sql_after) = expected.split_once(literal.as_str()).unwrap();
            prop_assert_eq!(before, sql_before);
            let (digits, after) = after.split_once('\'').unwrap();
            let envelope = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap();
            prop_assert_eq!(fixture.opened(PHONE, &envelope), value.as_bytes());
            (rest, expected) = (after, sql_after);
        }
        prop_assert_eq!(rest, expected);
        // The server reads the same statement, with hexadecimal literals where strings stood.
        let kinds = |tokens: &[Token]| tokens.iter().map(|token| token.kind).collect::<Vec<_>>();
        let expected: Vec<_> = kinds(&lexed.tokens)
            .into_iter()
            .map(|kind| if kind == TokenKind::String { TokenKind::Hex } else { kind })
            .collect();
        prop_assert_eq!(kinds(&Lexed::new(out.as_bytes(), &dialect()).tokens), expected);
    }
}
