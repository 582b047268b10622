//! `[budget.ROLE]` as written, and what is wrong with it.

use super::Budget;
use crate::policy::{RoleId, file};

fn parse(budget: &str) -> Result<Option<Budget>, String> {
    let text = format!("[role.support]\naccess = \"plain\"\n{budget}");
    let policy = file::parse("policy.toml", &text, 1).map_err(|problems| problems.to_string())?;
    Ok(policy.budget(RoleId(0)).copied())
}

#[test]
fn budgets_belong_to_roles() {
    assert_eq!(parse(""), Ok(None));
    let expected = Budget { statement: Some(200), minute: None, day: Some(5000), rows: Some(300), warn_percent: 80 };
    assert_eq!(
        parse("[budget.support]\ncells_per_statement = 200\ncells_per_day = 5000\ndistinct_rows_per_day = 300\n"),
        Ok(Some(expected))
    );
    for (written, words) in [
        ("[budget.suport]\ncells_per_day = 1\n", "[budget.suport]: there is no such role; did you mean `support`"),
        ("[budget.support]\ncells_per_minute = 0\n", "cells_per_minute is 1 to"),
        ("[budget.support]\ndistinct_rows_per_day = 1000001\n", "distinct_rows_per_day is 1 to 1000000"),
        ("[budget.support]\nwarn_percent = 101\n", "warn_percent is 1 to 100"),
        ("[budget.support]\ncells = 1\n", "unknown key `cells`"),
    ] {
        let told = parse(written).expect_err("refused");
        assert!(told.contains(words), "{written}: {told}");
    }
}
