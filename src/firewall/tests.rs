use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::{self, Dialect, SqlMode};

const DIALECT: Dialect = Dialect {
    mode: SqlMode::empty(),
    charset: Charset::Utf8mb4,
    server: ServerVersion { kind: ServerKind::MySql, number: 90_704 },
};

fn verdict(text: &str) -> Verdict {
    let sql = text.as_bytes();
    let mut tokens = Vec::new();
    sql::lex(sql, &DIALECT, &mut tokens).unwrap();
    let statement = sql::parse(sql, &tokens, &DIALECT, &sql::ReservedWords::Default(ServerKind::MySql)).ok();
    let class = sql::statement_class(sql, &tokens);
    judge(&Reading::new(sql, &tokens, class, statement.as_ref()))
}

#[test]
fn every_rule_refuses_its_examples_by_name() {
    for rule in rules::ALL {
        for text in rule.refuses {
            let by_rule = verdict(text);
            assert_ne!(by_rule, Verdict::Pass, "{}: {text}", rule.id.0);
        }
        assert!(
            rule.refuses.iter().any(|text| verdict(text) == Verdict::Hit(rule.id)),
            "no example reaches rule {}",
            rule.id.0
        );
    }
}

#[test]
fn look_alikes_pass_every_rule() {
    for rule in rules::ALL {
        for text in rule.passes {
            assert_eq!(verdict(text), Verdict::Pass, "{}: {text}", rule.id.0);
        }
    }
}

#[test]
fn an_attack_inside_a_literal_is_data() {
    for rule in rules::ALL {
        for text in rule.refuses {
            let quoted = format!("INSERT INTO notes (body) VALUES ('{}')", text.replace('\'', "''"));
            assert_eq!(verdict(&quoted), Verdict::Pass, "{quoted}");
        }
    }
}
