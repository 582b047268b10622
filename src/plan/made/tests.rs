use super::*;
use crate::schema::{ServerKind, TableRef};

#[test]
fn the_first_bytes_are_told_from_other_expressions() {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    for (text, expected) in [
        ("substr(`phone`,1,23)", Some(("phone", 23))),
        ("left(`the ``phone`,15)", Some(("the `phone", 15))),
        ("substr(`phone`,2,23)", None),
        ("substr(`phone`,23)", None),
        ("substr(`phone`,1,23) is null", None),
        ("hex(substr(`phone`,1,23))", None),
        ("left(concat(`phone`),23)", None),
        ("right(`phone`,23)", None),
        ("left(`phone`,-23)", None),
        ("left('phone',23)", None),
        ("left('phone", None),
        ("", None),
    ] {
        let column = GeneratedColumn {
            table: TableRef::new("shop", "customers"),
            column: "tag".into(),
            expression: Some(text.into()),
        };
        let expected = expected.map(|(name, octets)| (name.to_owned(), octets));
        assert_eq!(prefix(&column, server), expected, "{text}");
    }
}
