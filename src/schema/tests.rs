use super::*;
use std::collections::HashSet;

fn catalog(lower_case_table_names: u8) -> Catalog {
    let table = Table {
        name: TableRef::new("shop", "Customers"),
        kind: TableKind::Base,
        columns: vec![Column {
            name: "Phone".into(),
            data_type: "varbinary".into(),
            column_type: "varbinary(128)".into(),
            octets_max: Some(128),
            charset: None,
            collation: None,
            nullable: true,
            extra: "".into(),
        }],
        definition: Some("".into()),
    };
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    Catalog::new(1, server, lower_case_table_names, HashSet::new(), vec![table], vec![])
}

#[test]
fn table_names_fold_only_where_the_server_folds_them() {
    assert!(catalog(0).table("shop", "customers").is_none());
    assert!(catalog(0).table("shop", "Customers").is_some());
    assert!(catalog(1).table("SHOP", "customers").is_some());
}

#[test]
fn column_names_always_fold() {
    let catalog = catalog(0);
    let table = catalog.table("shop", "Customers").unwrap();
    assert!(table.column("PHONE").is_some());
    assert!(table.column("fax").is_none());
}

#[test]
fn multi_byte_sets_that_hide_quotes_are_not_readable() {
    for name in ["gbk", "big5", "gb18030", "sjis", "cp932", "ucs2", "utf16", "utf32"] {
        assert_eq!(Charset::from_name(name), None, "{name}");
    }
    assert_eq!(Charset::from_collation_id(28), None, "gbk_chinese_ci");
    assert_eq!(Charset::from_collation_id(255), Some(Charset::Utf8mb4));
}

#[test]
fn unique_keys_are_found_by_table_and_column() {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let key = UniqueKey { table: TableRef::new("shop", "Customers"), columns: vec!["area".into(), "Phone".into()] };
    let catalog =
        |fold| Catalog::new(1, server, fold, Default::default(), vec![], vec![]).with_unique_keys([key.clone()]);
    assert!(catalog(0).is_in_unique_key("shop", "Customers", "phone"));
    assert!(!catalog(0).is_in_unique_key("shop", "customers", "phone"));
    assert!(catalog(1).is_in_unique_key("shop", "customers", "AREA"));
    assert!(!catalog(1).is_in_unique_key("shop", "customers", "name"));
    assert!(!catalog(1).is_in_unique_key("shop", "people", "phone"));
    assert_ne!(catalog(0), Catalog::new(1, server, 0, Default::default(), vec![], vec![]), "a change is noticed");
}
