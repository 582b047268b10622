use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};

fn dialect(charset: Charset, mode: SqlMode) -> Dialect {
    Dialect { mode, charset, server: ServerVersion { kind: ServerKind::MySql, number: 90_704 } }
}

fn tokens_of(sql: &[u8], dialect: &Dialect) -> Vec<Token> {
    let mut tokens = Vec::new();
    lex(sql, dialect, &mut tokens).unwrap();
    tokens
}

fn text_in(sql: &[u8], charset: Charset, mode: SqlMode) -> Result<Vec<u8>, LiteralError> {
    let dialect = dialect(charset, mode);
    literal_text(sql, &tokens_of(sql, &dialect), &dialect)
}

fn text(sql: &[u8]) -> Result<Vec<u8>, LiteralError> {
    text_in(sql, Charset::Utf8mb4, SqlMode::empty())
}

#[test]
fn every_spelling_of_a_string_has_its_value() {
    assert_eq!(text(b"'a''b\\'c\\n\\0\\Z\\q\\%\\_'").unwrap(), b"a'b'c\n\0\x1aq\\%\\_");
    assert_eq!(text_in(b"'a\\n'", Charset::Utf8mb4, SqlMode::NO_BACKSLASH_ESCAPES).unwrap(), b"a\\n");
    assert_eq!(text(b"'a' 'b' /* c */ \"d\"\"e\"").unwrap(), b"abd\"e");
    assert_eq!(text(b"N'a' 'b'").unwrap(), b"ab");
    assert_eq!(text(b"_utf8mb4'a' 'b'").unwrap(), b"ab");
    assert_eq!(text(b"x'4142'").unwrap(), b"AB");
    assert_eq!(text(b"0x142").unwrap(), b"\x01B");
    assert_eq!(text(b"_latin1 0xE9").unwrap(), "é".as_bytes());
    assert_eq!(text(b"_binary'a'").unwrap(), b"a");
    assert_eq!(text(b"''").unwrap(), b"");
}

#[test]
fn bytes_are_decoded_in_their_character_set_or_refused() {
    assert_eq!(text_in(b"'\xE9\x80'", Charset::Latin1, SqlMode::empty()).unwrap(), "é€".as_bytes());
    assert_eq!(text_in(b"'\x81'", Charset::Latin1, SqlMode::empty()).unwrap(), "\u{81}".as_bytes());
    assert_eq!(text("_latin1'é'".as_bytes()).unwrap(), "Ã©".as_bytes());
    assert_eq!(text(b"'\xE9'"), Err(LiteralError::InvalidText));
    assert_eq!(text(b"_ascii'\xE9'"), Err(LiteralError::InvalidText));
    assert_eq!(text(b"x'FF'"), Err(LiteralError::InvalidText));
    assert_eq!(text("N'😀'".as_bytes()), Err(LiteralError::InvalidText));
    assert_eq!(text(b"_gbk'a'"), Err(LiteralError::UnsupportedCharset));
    assert_eq!(text(b"1"), Err(LiteralError::NotText));
    assert_eq!(text(b"b'1'"), Err(LiteralError::NotText));
    assert_eq!(text(b"x'41' 'b'"), Err(LiteralError::NotText));
}

fn digest(sql: &str) -> Vec<u8> {
    let dialect = dialect(Charset::Utf8mb4, SqlMode::empty());
    let mut out = Vec::new();
    normalise(sql.as_bytes(), &tokens_of(sql.as_bytes(), &dialect), &mut out);
    out
}

#[test]
fn a_digest_leaves_out_values_and_keeps_all_else() {
    for (one, other) in [
        ("SELECT a FROM t WHERE b = 'x'", "SELECT a  FROM t WHERE b =  'yy'"),
        ("SELECT a FROM t WHERE b = 1 LIMIT 1, 2", "SELECT a FROM t WHERE b = 22 LIMIT 3, 4"),
        ("SELECT a FROM t WHERE b IN ('x', \"y\")", "SELECT a FROM t WHERE b IN ('1', '2')"),
    ] {
        assert_eq!(digest(one), digest(other), "{one}");
    }
    for (one, other) in [
        ("SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 1"),
        ("SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'x' 'y'"),
        ("SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = _latin1'x'"),
        ("SELECT a FROM t WHERE b = -1", "SELECT a FROM t WHERE b = 1"),
        ("SELECT a FROM t WHERE b = NULL", "SELECT a FROM t WHERE b = TRUE"),
        ("SELECT a FROM t", "SELECT a FROM T"),
        ("SELECT a FROM t", "SELECT `a` FROM t"),
        ("SELECT a FROM t", "SELECT a FROM t -- x"),
        ("SELECT a FROM t", "SELECT a /*!50000 FROM t*/"),
        ("SELECT COUNT(a)", "SELECT COUNT (a)"),
        // A string alias names an output, a number behind BY names a column.
        ("SELECT x.a FROM (SELECT b 'a', c 'd' FROM t) x", "SELECT x.a FROM (SELECT b 'd', c 'a' FROM t) x"),
        ("SELECT b AS 'a' FROM t", "SELECT b AS 'c' FROM t"),
        ("SELECT a, b FROM t ORDER BY 1", "SELECT a, b FROM t ORDER BY 2"),
        ("SELECT a, b FROM t GROUP BY a, 1", "SELECT a, b FROM t GROUP BY a, 2"),
        ("SELECT a, b FROM t ORDER BY (SELECT 1 LIMIT 1), 1", "SELECT a, b FROM t ORDER BY (SELECT 1 LIMIT 1), 2"),
    ] {
        assert_ne!(digest(one), digest(other), "{one}");
    }
}

#[test]
fn names_are_spelled_as_the_catalog_spells_them() {
    let dialect = dialect(Charset::Utf8mb4, SqlMode::empty());
    let sql = "a `b``c` @`d` @'e' @@f `g😀`".as_bytes();
    let names: Vec<_> = tokens_of(sql, &dialect).into_iter().map(|token| name(sql, token).into_owned()).collect();
    assert_eq!(names, ["a", "b`c", "d", "e", "f", "g?"]);
    let latin1 = Dialect { charset: Charset::Latin1, ..dialect };
    let sql = b"`n\xC3\xA9` \xE9";
    let names: Vec<_> = tokens_of(sql, &latin1).into_iter().map(|token| name(sql, token).into_owned()).collect();
    assert_eq!(names, ["nÃ©", "é"]);
}

#[test]
fn statements_are_classed_by_their_first_words() {
    use StatementClass as Class;
    let dialect = dialect(Charset::Utf8mb4, SqlMode::empty());
    let class = |sql: &str| statement_class(sql.as_bytes(), &tokens_of(sql.as_bytes(), &dialect));
    for (sql, expected) in [
        ("/* x */ select 1", Class::Dml),
        ("(select 1)", Class::Dml),
        ("desc t", Class::Explain),
        ("set statement max_statement_time = 1 for select 1", Class::SetStatement),
        ("set @a = 1", Class::Set),
        ("begin", Class::Transaction),
        ("begin not atomic select 1; end", Class::Compound),
        ("start transaction", Class::Transaction),
        ("start replica", Class::Administration),
        (
            "create definer=index@localhost sql security invoker view v as select 1",
            Class::Ddl { verb: DdlVerb::Create, object: DdlObject::View },
        ),
        ("create unique index i on t (a)", Class::Ddl { verb: DdlVerb::Create, object: DdlObject::Index }),
        ("create temporary table t select 1", Class::Ddl { verb: DdlVerb::Create, object: DdlObject::Table }),
        ("truncate t", Class::Ddl { verb: DdlVerb::Truncate, object: DdlObject::Table }),
        ("analyze table t", Class::Maintenance),
        ("analyze format=json select 1", Class::Explain),
        ("execute immediate 'x'", Class::ExecuteImmediate),
        ("load data infile 'x' into table t", Class::LoadData),
        ("load index into cache t", Class::Maintenance),
        ("drop prepare p", Class::Deallocate),
        ("lbl: loop", Class::Other),
        ("", Class::Empty),
    ] {
        assert_eq!(class(sql), expected, "{sql}");
    }
}

#[test]
fn a_batch_splits_at_semicolons_but_not_in_routine_bodies() {
    let dialect = dialect(Charset::Utf8mb4, SqlMode::empty());
    let count = |sql: &str| statements(sql.as_bytes(), &tokens_of(sql.as_bytes(), &dialect)).len();
    assert_eq!(count("select 1; select ';';;"), 2);
    assert_eq!(count("create procedure p() begin select 1; select 2; end"), 1);
    assert_eq!(count(" ; "), 0);
}
