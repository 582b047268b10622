use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::SqlMode;

fn dialect() -> Dialect {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server }
}

fn variable(name: &str) -> Box<[u8]> {
    name.as_bytes().into()
}

#[test]
fn statements_about_names_are_told_from_others() {
    let of = |statement: &'static str| ByName::of(statement.as_bytes(), &dialect());
    let text = Some(b"x'".as_slice().into());
    assert_eq!(of("PREPARE S FROM 'x'''"), ByName::Prepare { name: "s".into(), text });
    assert_eq!(of("/* x */ prepare `My s` from @v;"), ByName::Prepare { name: "my s".into(), text: None });
    assert_eq!(of("DEALLOCATE PREPARE s"), ByName::Deallocate { name: "s".into() });
    assert_eq!(of("drop prepare s;"), ByName::Deallocate { name: "s".into() });
    assert_eq!(of("EXECUTE s"), ByName::Execute { name: "s".into(), variables: Some(Vec::new()) });
    let variables = Some(vec![variable("@a"), variable("@`b c`")]);
    assert_eq!(of("EXECUTE s USING @a, @`b c`"), ByName::Execute { name: "s".into(), variables });
    assert_eq!(of("CALL p()"), ByName::Unseen);
    for statement in ["EXECUTE s USING", "EXECUTE s USING @a @b", "EXECUTE s USING @a,", "EXECUTE s USING 1"] {
        assert_eq!(of(statement), ByName::Execute { name: "s".into(), variables: None }, "{statement}");
    }
    assert_eq!(of("EXECUTE IMMEDIATE 'x' USING @a"), ByName::AtOnce { variables: Some(vec![variable("@a")]) });
    assert_eq!(of("EXECUTE IMMEDIATE @sql USING 1"), ByName::AtOnce { variables: None });
    for unseen in ["BEGIN NOT ATOMIC EXECUTE s; END", "SELECT 'x"] {
        assert_eq!(of(unseen), ByName::Unseen, "{unseen}");
    }
    for other in ["DROP TABLE s", "PREPARE 5 FROM 'x'", ""] {
        assert_eq!(of(other), ByName::Other, "{other}");
    }
}

#[test]
fn variables_stand_where_parameters_stood() {
    let kept = KeptText { sql: b"SELECT '?' /* ? */ FROM t WHERE a=? AND b IN(?,1)".as_slice().into(), params: 2 };
    let text = kept.with_variables(&[variable("@x"), variable("@`y ?`")], &dialect()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "SELECT '?' /* ? */ FROM t WHERE a= @x  AND b IN( @`y ?` ,1)");
    assert_eq!(kept.with_variables(&[variable("@x")], &dialect()), None);
    assert_eq!(kept.placeholder(), "'SELECT (SELECT 1 UNION ALL SELECT 2), ?, ?'");
}
