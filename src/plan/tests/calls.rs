//! Procedures that the shop's policy allows.

use super::{Refusal, Shop, SqlMode};
use crate::policy::{AllowedRoutine, ColumnId};

/// `phone` is column 0, `email` column 1.
const ROUTINES: &str = r#"
keysets = ["main"]
[[column]]
name = "shop.customers.phone"
keyset = "main"
type = "varchar(50)"
[[column]]
name = "shop.customers.email"
keyset = "main"
type = "varchar(50)"
[[routine]]
name = "shop.Touch"
arguments = ["shop.customers.phone", "-", "shop.customers.email"]
results = [["shop.customers.phone", "-"], ["-"]]
[[routine]]
name = "shop.look"
[[routine]]
name = "shop.keep"
arguments = ["shop.customers.phone"]
"#;

pub(super) fn routines() -> Vec<AllowedRoutine> {
    let policy = crate::policy::file::parse("policy", ROUTINES, 1).unwrap();
    let found = ["touch", "look", "keep"].map(|name| policy.routine("shop", name).unwrap().clone());
    assert_eq!(found[0].columns().map(|ColumnId(id)| id).collect::<Vec<_>>(), [0, 1, 0]);
    found.to_vec()
}

#[test]
fn an_argument_is_not_sealed_where_it_may_be_null() {
    let mut shop = Shop::open();
    for sql in ["CALL keep('')", "CALL keep(?)"] {
        assert_eq!(shop.refusal(sql), None, "{sql}");
    }
    shop.dialect.mode |= SqlMode::EMPTY_STRING_IS_NULL;
    for sql in ["CALL keep('')", "CALL keep(?)"] {
        let refusal = shop.refusal(sql);
        assert!(matches!(refusal, Some(Refusal::Unsupported { .. })), "{sql}: {refusal:?}");
    }
    assert_eq!(shop.refusal("CALL keep(NULL)"), None);
}
