use std::collections::HashSet;

use super::*;
use crate::schema::{Column, ServerKind, ServerVersion, Table, TableKind, TableRef};

const POLICY: &str = r#"
keysets = ["main"]
[[column]]
name = "shop.customers.phone"
keyset = "main"
type = "varchar(40)"
[role.application]
access = "plain"
"#;

fn catalog(data_type: &str, charset: Option<&str>) -> Catalog {
    let column = Column {
        name: "Phone".into(),
        data_type: data_type.into(),
        column_type: data_type.into(),
        octets_max: None,
        charset: charset.map(Into::into),
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let name = TableRef::new("shop", "customers");
    let table = Table { name, kind: TableKind::Base, columns: vec![column], definition: Some("".into()) };
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    Catalog::new(1, server, 0, HashSet::new(), vec![table], Vec::new())
}

fn check(catalog: &Catalog, stage: Option<Stage>) -> Result<(), ShadowBar> {
    let policy = crate::policy::file::parse("policy", POLICY, 1).unwrap();
    check_shadow(&policy, catalog, |_, _| stage)
}

#[test]
fn shadow_mode_is_for_columns_in_which_no_envelope_can_stand() {
    for charset in ["utf8mb4", "utf8mb3", "ascii"] {
        for stage in [Stage::Plain, Stage::Sealed] {
            assert_eq!(check(&catalog("varchar", Some(charset)), Some(stage)), Ok(()), "{charset} {stage}");
        }
        for stage in [Stage::Encrypting, Stage::Decrypting] {
            let bar = check(&catalog("varchar", Some(charset)), Some(stage));
            assert_eq!(bar, Err(ShadowBar::Stage { column: ColumnRef::new("shop", "customers", "phone"), stage }));
        }
        assert_eq!(check(&catalog("varchar", Some(charset)), None), Err(ShadowBar::Unknown));
    }
    for (data_type, charset) in [("varbinary", None), ("varchar", Some("latin1")), ("varchar", Some("gbk"))] {
        for stage in [Stage::Plain, Stage::Sealed] {
            let bar = check(&catalog(data_type, charset), Some(stage)).unwrap_err();
            assert!(matches!(bar, ShadowBar::Bytes { .. }), "{data_type} {charset:?} {stage}: {bar}");
        }
    }
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let nothing = Catalog::new(1, server, 0, HashSet::new(), Vec::new(), Vec::new());
    assert!(matches!(check(&nothing, Some(Stage::Plain)), Err(ShadowBar::Bytes { .. })));
}
