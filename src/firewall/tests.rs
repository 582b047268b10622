mod traps;

use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::{self, Dialect, SqlMode};

const DIALECT: Dialect = Dialect {
    mode: SqlMode::empty(),
    charset: Charset::Utf8mb4,
    server: ServerVersion { kind: ServerKind::MySql, number: 90_704 },
};

fn verdict(text: &str) -> Verdict {
    verdict_without(text, None)
}

fn verdict_without(text: &str, left_out: Option<RuleId>) -> Verdict {
    let sql = text.as_bytes();
    let mut tokens = Vec::new();
    sql::lex(sql, &DIALECT, &mut tokens).unwrap();
    let statement = sql::parse(sql, &tokens, &DIALECT, &sql::ReservedWords::Default(ServerKind::MySql)).ok();
    let class = sql::statement_class(sql, &tokens);
    let rules = rules::ALL.iter().filter(|rule| Some(rule.id) != left_out);
    judge_by(rules, &Reading::new(sql, &tokens, class, statement.as_ref()))
}

#[test]
fn every_rule_refuses_its_examples() {
    for rule in rules::ALL {
        for text in rule.refuses {
            assert_ne!(verdict(text), Verdict::Pass, "{}: {text}", rule.id.0);
        }
    }
}

#[test]
fn no_rule_can_be_left_out() {
    for rule in rules::ALL {
        assert!(
            rule.refuses.iter().any(|text| verdict_without(text, Some(rule.id)) == Verdict::Pass),
            "every example of {} is refused without it",
            rule.id.0
        );
    }
}

#[test]
fn a_verdict_names_the_rule_that_decided() {
    for rule in rules::ALL {
        let alone = rule.refuses.iter().find(|text| verdict_without(text, Some(rule.id)) == Verdict::Pass).unwrap();
        let is_enough = match rule.weight {
            Weight::Hard => true,
            Weight::Points(points) => u32::from(points) >= rules::POINTS_MAX,
        };
        if is_enough {
            assert_eq!(verdict(alone), Verdict::Hit(rule.id), "{alone}");
        }
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

#[test]
fn only_a_comparison_of_integers_is_looked_into() {
    let depends = |text: &str| {
        let mut tokens = Vec::new();
        sql::lex(text.as_bytes(), &DIALECT, &mut tokens).unwrap();
        let statement = sql::parse(text.as_bytes(), &tokens, &DIALECT, &sql::ReservedWords::Default(ServerKind::MySql));
        let class = sql::statement_class(text.as_bytes(), &tokens);
        let reading = Reading::new(text.as_bytes(), &tokens, class, statement.as_ref().ok());
        judge(&reading);
        reading.depends_on_values()
    };
    assert!(depends("SELECT a FROM t WHERE id = 1 AND 0 = 1"));
    assert!(depends("SELECT a FROM t WHERE id = 1 AND 1 = 1"));
    assert!(!depends("SELECT a FROM t WHERE id = 1 AND name = 'x'"));
    assert!(!depends("SELECT a FROM t WHERE 1 = 1 AND id = 1"));
    assert!(!depends("SELECT a FROM t WHERE id = 1 OR 'a' = 'a'"));
}
