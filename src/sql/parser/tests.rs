use proptest::prelude::*;

use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::tree::{Expr, ExprKind, InsertSource, QueryBody, SelectItem, Statement, TableReference, TokenRange};
use crate::sql::{Dialect, ParseError, ReservedWords, SqlMode, Token, lex, parenthesised, parse, walk};

fn dialect(kind: ServerKind, mode: SqlMode) -> Dialect {
    let number = match kind {
        ServerKind::MySql => 90_704,
        ServerKind::MariaDb => 101_118,
    };
    Dialect { mode, charset: Charset::Utf8mb4, server: ServerVersion { kind, number } }
}

fn read_as(sql: &[u8], kind: ServerKind, mode: SqlMode) -> Result<(Vec<Token>, Statement), ParseError> {
    let dialect = dialect(kind, mode);
    let mut tokens = Vec::new();
    lex(sql, &dialect, &mut tokens).unwrap();
    parse(sql, &tokens, &dialect, &ReservedWords::Default(kind)).map(|statement| (tokens, statement))
}

fn read(sql: &str) -> Result<(Vec<Token>, Statement), ParseError> {
    read_as(sql.as_bytes(), ServerKind::MySql, SqlMode::STRICT)
}

/// The expression as the tree has it.
fn shape_in(expr: &str, mode: SqlMode) -> String {
    let sql = format!("SELECT {expr}");
    match read_as(sql.as_bytes(), ServerKind::MySql, mode) {
        Ok((tokens, statement)) => {
            let text = String::from_utf8(parenthesised(sql.as_bytes(), &tokens, &statement)).unwrap();
            text.strip_prefix("SELECT ").unwrap().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn shape(expr: &str) -> String {
    shape_in(expr, SqlMode::STRICT)
}

#[test]
fn operators_bind_as_the_server_binds_them() {
    assert_eq!(shape("phone = 'x' || 1"), "((phone = 'x') || 1)");
    assert_eq!(shape_in("phone = 'x' || 1", SqlMode::PIPES_AS_CONCAT), "(phone = ('x' || 1))");
    assert_eq!(shape_in("-1||2", SqlMode::PIPES_AS_CONCAT), "((-1)||2)");
    assert_eq!(shape("BINARY a AND b"), "((BINARY a) AND b)");
    assert_eq!(shape("~5*'1'"), "((~5)*'1')");
    assert_eq!(shape("5*3^1"), "(5*(3^1))");
    assert_eq!(shape("a REGEXP NULL IS NULL"), "((a REGEXP NULL) IS NULL)");
    assert_eq!(shape("id=1--phone"), "(id=(1-(-phone)))");
    assert_eq!(shape("NOT a = b"), "(NOT (a = b))");
    assert_eq!(shape_in("NOT a = b", SqlMode::HIGH_NOT_PRECEDENCE), "((NOT a) = b)");
    assert_eq!(shape("! a = b"), "((! a) = b)");
    assert_eq!(shape("a = b = c"), "((a = b) = c)");
    assert_eq!(shape("a OR b XOR c AND d"), "(a OR (b XOR (c AND d)))");
    assert_eq!(shape("a BETWEEN 1 AND 2 AND b"), "((a BETWEEN 1 AND 2) AND b)");
    assert_eq!(shape("- a COLLATE x"), "(- (a COLLATE x))");
    assert_eq!(shape("a + INTERVAL 1 DAY + b"), "((a + INTERVAL 1 DAY) + b)");
    assert_eq!(shape("a IN (1, 2) IS NOT TRUE"), "((a IN (1, 2)) IS NOT TRUE)");
    assert_eq!(shape("@a := 1 OR 2"), "(@a := (1 OR 2))");
}

#[test]
fn what_the_server_rejects_is_rejected() {
    for sql in [
        "SELECT",
        "SELECT 1 +",
        "SELECT a, *",
        "SELECT 1 = NOT 2",
        "SELECT a IN ()",
        "SELECT (1",
        "SELECT 1)",
        "SELECT 'a' LIKE 'b' LIKE 'c'",
        "INSERT t",
        "UPDATE t",
        "DELETE t",
        "SELECT select FROM t",
        "SELECT 1 FROM t WHERE",
        "SELECT 1; SELECT 2",
        "SELECT count (*) FROM t",
        "DROP TABLE t",
        "",
        "SELECT a IS TRUE = b",
        "SELECT * FROM a LEFT JOIN b",
        "SELECT _utf8mb4",
        "VALUES (1)",
        "SELECT 'a' N'b' 'c'",
        "INSERT INTO t SELECT 1 INTO @a",
    ] {
        assert!(read(sql).is_err(), "{sql}");
    }
}

#[test]
fn statements_of_real_clients_are_read() {
    for sql in [
        "SELECT 1;",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 2",
        "SELECT ((SELECT 1) + 1), ((SELECT 1))",
        "SELECT users.phone AS users_phone FROM users WHERE users.id IN (?, ?) LIMIT ?, ?",
        "INSERT INTO t (a, phone) VALUES (1, '2'), (?, DEFAULT) AS new ON DUPLICATE KEY UPDATE phone = new.phone",
        "INSERT INTO t () VALUES ()",
        "INSERT INTO t VALUES ROW(1, 2)",
        "REPLACE t SET a := 1",
        "INSERT t (SELECT 1)",
        "UPDATE a, b SET a.x = b.y WHERE a.id = b.id",
        "UPDATE t SET c = CASE WHEN id = 1 THEN 'x' ELSE c END LIMIT 1",
        "DELETE t FROM t JOIN u ON t.id = u.id",
        "DELETE FROM a, b USING a, b",
        "DELETE a, b FROM a, b",
        "DELETE FROM t ORDER BY a LIMIT 1",
        "SELECT * FROM t WHERE a LIKE BINARY '%x%' LOCK IN SHARE MODE",
        "SELECT SQL_CALC_FOUND_ROWS * FROM t FOR UPDATE SKIP LOCKED",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
        "TABLE t",
        "VALUES ROW(1), ROW(2)",
        "SELECT GROUP_CONCAT(DISTINCT a ORDER BY b SEPARATOR ','), COUNT(*) OVER (PARTITION BY c) FROM t GROUP BY d WITH ROLLUP",
        "SELECT a->'$.x', b->>'$.y', JSON_VALUE(c, '$.z' RETURNING CHAR(3) NULL ON EMPTY) FROM t",
        "SELECT * FROM JSON_TABLE(j, '$[*]' COLUMNS (a INT PATH '$.a', b FOR ORDINALITY)) AS t",
        "SELECT TRIM(BOTH 'x' FROM a), EXTRACT(DAY FROM b), POSITION('x' IN c), CONVERT(d USING utf8mb4), CAST(e AS CHAR(3)) FROM t",
        "EXPLAIN FORMAT = JSON SELECT 1",
        "SELECT * FROM (SELECT 1 AS a) AS t (b), LATERAL (SELECT b) AS u",
        "SELECT MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) FROM t USE INDEX (i)",
        "SELECT {d '2020-01-01'}, N'x' 'y', _latin1'z'",
        "SELECT DATE_ADD(a, INTERVAL 1 DAY), CURRENT_TIMESTAMP, NOW(6), INTERVAL(1, 2, 3) FROM t",
        "SELECT 1 INTO @a",
    ] {
        assert!(read(sql).is_ok(), "{sql}: {:?}", read(sql).err());
    }
    assert!(read_as(b"INSERT INTO t VALUES (1) RETURNING *", ServerKind::MariaDb, SqlMode::STRICT).is_ok());
    assert!(read("INSERT INTO t VALUES (1) RETURNING *").is_err());
}

#[test]
fn a_join_without_condition_is_seen_by_the_conditions_behind_it() {
    let (_, statement) = read("SELECT 1 FROM a JOIN b JOIN c ON a.x = c.x").unwrap();
    let Statement::Query(query) = statement else { panic!() };
    let QueryBody::Select(select) = query.body else { panic!() };
    let TableReference::Join { left, .. } = &select.from[0] else { panic!() };
    assert!(matches!(**left, TableReference::Join { .. }), "((a JOIN b) JOIN c ON …)");
}

#[test]
fn a_literal_covers_introducer_and_adjacent_strings() {
    let (_, statement) = read("INSERT INTO t VALUES (_utf8mb4'a' /*c*/ 'b', 2)").unwrap();
    let Statement::Insert(insert) = statement else { panic!() };
    let InsertSource::Values(rows) = insert.source else { panic!() };
    assert_eq!(rows[0][0].tokens, TokenRange { first: 5, last: 7 });
}

#[test]
fn parameters_are_counted_through_the_statement() {
    let (_, statement) = read("SELECT ?, ((?) + ?) FROM t WHERE a IN ((SELECT ?), ?) LIMIT ?").unwrap();
    struct Params(Vec<(u32, u16)>);
    impl<'t> walk::Visitor<'t> for Params {
        fn expr(&mut self, expr: &'t Expr) {
            if let ExprKind::Param(number) = expr.kind {
                self.0.push((expr.tokens.first, number));
            }
        }
    }
    let mut params = Params(Vec::new());
    walk::statement(&mut params, &statement);
    params.0.sort_unstable();
    assert_eq!(params.0.iter().map(|param| param.1).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn depth_is_bounded_and_long_chains_are_flat() {
    let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(read(&nested(30)).is_ok());
    assert!(matches!(read(&nested(100_000)), Err(ParseError::TooDeep(_))));
    assert!(matches!(read(&format!("SELECT {}1", "NOT ".repeat(100_000))), Err(ParseError::TooDeep(_))));
    assert!(matches!(read(&format!("SELECT 1{}", "+1".repeat(100_000))), Err(ParseError::TooDeep(_))));
    assert!(matches!(read(&format!("SELECT 1{}", " UNION SELECT 1".repeat(100_000))), Err(ParseError::TooDeep(_))));
    assert!(read(&format!("SELECT a = 1{}", " OR a = 1".repeat(100_000))).is_ok());
    assert!(read(&format!("SELECT CASE{} END", " WHEN a = 1 THEN b + 1".repeat(10_000))).is_ok());
    assert!(matches!(
        read(&format!("SELECT {}1{}", "(1".to_owned() + &"+1".repeat(200) + "+(1" + &"+1".repeat(200) + "+", "))")),
        Err(ParseError::TooDeep(_))
    ));
    assert!(read(&format!("INSERT INTO t VALUES (1 + 1){}", ", (1 + 1)".repeat(10_000))).is_ok());
}

#[test]
fn an_alias_may_be_a_string() {
    let (_, statement) = read("SELECT a 'b' FROM t").unwrap();
    let Statement::Query(query) = statement else { panic!() };
    let QueryBody::Select(select) = query.body else { panic!() };
    assert!(matches!(select.items[0], SelectItem::Expr { alias: Some(2), .. }));
}

/// Words and signs of which most sequences are no statement and some are.
fn fragment() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "SELECT",
        "(",
        ")",
        ",",
        "a",
        "t.b",
        "1",
        "'x'",
        "?",
        "+",
        "-",
        "=",
        "AND",
        "OR",
        "NOT",
        "IN",
        "FROM",
        "JOIN",
        "ON",
        "WHERE",
        "UNION",
        "AS",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "INTERVAL",
        "DAY",
        "IS",
        "NULL",
        "BETWEEN",
        "LIKE",
        "*",
        "INSERT",
        "INTO",
        "VALUES",
        "UPDATE",
        "SET",
        "DELETE",
        "EXISTS",
        "ROW",
        "COUNT(",
        "TRIM(",
        "OVER",
        "LIMIT",
        "ORDER",
        "BY",
        "WITH",
        "@v",
        ":=",
        "||",
        "COLLATE",
        "LATERAL",
        "JSON_TABLE(",
        "USING",
        "ALL",
        "ANY",
        "DEFAULT",
    ])
}

struct Nesting<'a> {
    tokens: &'a [Token],
    stack: Vec<TokenRange>,
}

impl<'t> walk::Visitor<'t> for Nesting<'_> {
    fn expr(&mut self, expr: &'t Expr) {
        let range = expr.tokens;
        assert!(range.first <= range.last && (range.last as usize) < self.tokens.len(), "{range:?}");
        // Visited parents first: whatever does not lie before this node encloses it or lies within it.
        while self.stack.last().is_some_and(|parent| parent.last < range.first) {
            self.stack.pop();
        }
        if let Some(parent) = self.stack.last() {
            let inside = parent.first <= range.first && range.last <= parent.last;
            let before = range.last < parent.first;
            assert!(inside || before, "{range:?} overlaps {parent:?}");
        }
        self.stack.push(range);
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_result(sql in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [ServerKind::MySql, ServerKind::MariaDb] {
            let dialect = dialect(kind, SqlMode::empty());
            let mut tokens = Vec::new();
            if lex(&sql, &dialect, &mut tokens).is_ok() {
                drop(parse(&sql, &tokens, &dialect, &ReservedWords::Default(kind)));
                let mut end = 0;
                for token in &tokens {
                    prop_assert!(token.start >= end && token.end > token.start && token.end as usize <= sql.len());
                    end = token.end;
                }
            }
        }
    }

    #[test]
    fn any_words_give_a_result_and_spans_nest(words in proptest::collection::vec(fragment(), 0..30)) {
        let sql = format!("SELECT {}", words.join(" "));
        if let Ok((tokens, statement)) = read(&sql) {
            let mut nesting = Nesting { tokens: &tokens, stack: Vec::new() };
            walk::statement(&mut nesting, &statement);
        }
    }

    #[test]
    fn blanks_and_comments_between_tokens_change_nothing(
        words in proptest::collection::vec(fragment(), 0..20),
        gap in proptest::sample::select(vec!["  ", "\n", "/* c */", " -- x\n", " # y\n", "\t/*!99999 z */ "]),
    ) {
        let sql = format!("SELECT {}", words.join(" "));
        let spaced = format!("SELECT{gap}{}", words.join(gap));
        let plain = read(&sql).map(|read| read.1);
        prop_assert_eq!(plain, read(&spaced).map(|read| read.1));
    }
}
