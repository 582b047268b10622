//! Procedures that the shop's policy allows.

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
