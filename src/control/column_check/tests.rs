use super::*;
use crate::policy::{IndexSpec, LogicalType, Normaliser, Padding, TextSize};

fn protected(logical: LogicalType, index: bool) -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new("shop", "customers", "phone"),
        keyset: "contact".into(),
        context: "shop.customers.phone".into(),
        logical,
        collation: None,
        index: index.then(|| IndexSpec { domain: "phone".into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    }
}

fn phone() -> ProtectedColumn {
    protected(LogicalType::Varchar { chars_max: 20 }, true)
}

/// What MySQL 9.7 shows for a column that is as it should be.
fn good() -> StoredColumn {
    StoredColumn {
        is_view: false,
        keeps_past_rows: false,
        data_type: "varbinary".into(),
        column_type: "varbinary(164)".into(),
        octets_max: Some(164),
        nullable: true,
        default: None,
        checks: vec![Check {
            name: "c".into(),
            clause: "((`phone` is null) or (substr(`phone`,1,4) = 0xc1fe1d01))".into(),
            enforced: true,
        }],
        indexes: vec![LeadingIndex { name: "i".into(), unique: false, parts: 1, octets: Some(23), used: true }],
    }
}

fn problems(protected: &ProtectedColumn, stored: &StoredColumn) -> Vec<(Problem, Option<String>)> {
    problems_at(Stage::Sealed, protected, stored)
}

fn problems_at(stage: Stage, protected: &ProtectedColumn, stored: &StoredColumn) -> Vec<(Problem, Option<String>)> {
    judge(protected, stage, Some(stored)).into_iter().map(|finding| (finding.problem, finding.remedy)).collect()
}

#[test]
fn a_good_column_has_no_findings() {
    assert_eq!(phone().envelope_octets_max(), 164);
    assert_eq!(problems(&phone(), &good()), []);
    let mariadb =
        Check { clause: "`phone` is null or substr(`phone`,1,4) = 0xc1fe1d01".into(), ..good().checks.remove(0) };
    assert_eq!(problems(&phone(), &StoredColumn { checks: vec![mariadb], ..good() }), []);
}

#[test]
fn a_missing_column_and_a_view_are_reported_without_a_statement() {
    assert_eq!(judge(&phone(), Stage::Sealed, None).first().map(|f| f.problem.clone()), Some(Problem::Missing));
    let view = StoredColumn { is_view: true, ..good() };
    assert_eq!(problems(&phone(), &view), [(Problem::IsView, None)]);
}

#[test]
fn past_rows_are_a_fault_at_every_stage() {
    let versioned = StoredColumn { keeps_past_rows: true, ..good() };
    for stage in [Stage::Plain, Stage::Encrypting, Stage::Sealed, Stage::Decrypting] {
        let found = problems_at(stage, &phone(), &versioned);
        assert!(found.contains(&(Problem::KeepsPastRows, None)), "{stage}: {found:?}");
        assert!(!problems_at(stage, &phone(), &good()).contains(&(Problem::KeepsPastRows, None)), "{stage}");
    }
}

#[test]
fn one_byte_too_few_is_found() {
    let short = StoredColumn { octets_max: Some(163), ..good() };
    let remedy = "ALTER TABLE `shop`.`customers` MODIFY COLUMN `phone` VARBINARY(164) NULL";
    assert_eq!(problems(&phone(), &short), [(Problem::TooShort { found: 163, needed: 164 }, Some(remedy.to_owned()))]);
}

#[test]
fn types_that_change_bytes_are_found_and_not_null_stays() {
    for data_type in ["varchar", "text", "binary", "json"] {
        let stored = StoredColumn {
            data_type: data_type.into(),
            column_type: data_type.into(),
            octets_max: Some(1_000),
            nullable: false,
            ..good()
        };
        let remedy = "ALTER TABLE `shop`.`customers` MODIFY COLUMN `phone` VARBINARY(164) NOT NULL";
        let expected = [(Problem::NotBytes { found: data_type.into() }, Some(remedy.to_owned()))];
        assert_eq!(problems(&phone(), &stored), expected, "{data_type}");
    }
}

#[test]
fn long_texts_get_the_blob_type_that_holds_them() {
    for (size, blob) in
        [(TextSize::Tiny, "VARBINARY(308)"), (TextSize::Text, "MEDIUMBLOB"), (TextSize::Medium, "LONGBLOB")]
    {
        let column = protected(LogicalType::Text(size), false);
        let stored = StoredColumn { octets_max: Some(1), ..good() };
        let (_, remedy) = problems(&column, &stored).remove(0);
        assert!(remedy.as_ref().is_some_and(|text| text.contains(blob)), "{size:?}: {remedy:?}");
    }
    let stored = StoredColumn { data_type: "longblob".into(), octets_max: Some(4_294_967_295), ..good() };
    assert_eq!(problems(&protected(LogicalType::Text(TextSize::Long), false), &stored), []);
}

#[test]
fn a_default_value_is_found() {
    let stored = StoredColumn { default: Some("0123".into()), ..good() };
    let remedy = "ALTER TABLE `shop`.`customers` ALTER COLUMN `phone` DROP DEFAULT";
    assert_eq!(problems(&phone(), &stored), [(Problem::PlainDefault, Some(remedy.to_owned()))]);
}

#[test]
fn a_missing_weaker_or_idle_check_is_found() {
    let add = "ALTER TABLE `shop`.`customers` ADD CONSTRAINT `candado_customers_phone_sealed` CHECK \
               (`phone` IS NULL OR SUBSTRING(`phone`, 1, 4) = 0xC1FE1D01)";
    let missing = [(Problem::CheckMissing, Some(add.to_owned()))];
    assert_eq!(problems(&phone(), &StoredColumn { checks: vec![], ..good() }), missing);
    for clause in [
        "((`fax` is null) or (substr(`fax`,1,4) = 0xc1fe1d01))",
        "((`phone` is null) or (substr(`phone`,1,4) = 0xc1fe1d02))",
        "((`phone` is not null) or (substr(`phone`,1,4) = 0xc1fe1d01))",
        "((`phone` is null) or (substr(`phone`,1,4) = 0xc1fe1d01) or true)",
    ] {
        let check = Check { name: "c".into(), clause: clause.into(), enforced: true };
        assert_eq!(problems(&phone(), &StoredColumn { checks: vec![check], ..good() }), missing, "{clause}");
    }
    let idle = Check { enforced: false, ..good().checks.remove(0) };
    let remedy = "ALTER TABLE `shop`.`customers` ALTER CHECK `c` ENFORCED";
    assert_eq!(
        problems(&phone(), &StoredColumn { checks: vec![idle], ..good() }),
        [(Problem::CheckNotEnforced { constraint: "c".into() }, Some(remedy.to_owned()))]
    );
}

#[test]
fn a_missing_short_or_unused_index_is_found() {
    let add = "ALTER TABLE `shop`.`customers` ADD INDEX `candado_customers_phone_index` (`phone`(23))";
    let missing = [(Problem::IndexMissing { prefix_length: 23 }, Some(add.to_owned()))];
    let index = good().indexes.remove(0);
    for indexes in [
        vec![],
        vec![LeadingIndex { octets: Some(22), ..index.clone() }],
        vec![LeadingIndex { used: false, ..index.clone() }],
    ] {
        assert_eq!(problems(&phone(), &StoredColumn { indexes, ..good() }), missing);
    }
    let whole = vec![LeadingIndex { octets: None, ..index }];
    assert_eq!(problems(&phone(), &StoredColumn { indexes: whole, ..good() }), []);
}

#[test]
fn a_column_without_blind_index_needs_no_index() {
    let address = protected(LogicalType::Varchar { chars_max: 20 }, false);
    assert_eq!(problems(&address, &StoredColumn { indexes: vec![], ..good() }), []);
}

#[test]
fn a_unique_index_must_end_at_the_prefix() {
    let unique = |octets| LeadingIndex { name: "u".into(), unique: true, parts: 1, octets, used: true };
    assert_eq!(problems(&phone(), &StoredColumn { indexes: vec![unique(Some(23))], ..good() }), []);
    for octets in [Some(24), None] {
        let remedy = "ALTER TABLE `shop`.`customers` DROP INDEX `u`, ADD UNIQUE INDEX `u` (`phone`(23))";
        assert_eq!(
            problems(&phone(), &StoredColumn { indexes: vec![unique(octets)], ..good() }),
            [(Problem::UniqueIneffective { index: "u".into() }, Some(remedy.to_owned()))]
        );
    }
}

#[test]
fn names_are_quoted_and_never_too_long() {
    assert_eq!(quoted("a`b"), "`a``b`");
    let long = ColumnRef::new("shop", "t".repeat(64), "c".repeat(64));
    let other = ColumnRef::new("shop", "t".repeat(64), "d".repeat(64));
    assert!(object_name(&long, "sealed").chars().count() <= NAME_CHARS_MAX);
    assert_ne!(object_name(&long, "sealed"), object_name(&other, "sealed"));
}

#[test]
fn a_column_that_is_not_sealed_is_noted_and_only_what_stands_in_its_way_is_a_fault() {
    let text = StoredColumn {
        data_type: "varchar".into(),
        column_type: "varchar(20)".into(),
        octets_max: Some(80),
        default: Some("none".into()),
        checks: vec![],
        indexes: vec![],
        ..good()
    };
    let faults = |found: &[(Problem, Option<String>)]| {
        found.iter().filter(|(problem, _)| problem.weight() == Weight::Fault).cloned().collect::<Vec<_>>()
    };
    assert_eq!(problems_at(Stage::Plain, &phone(), &text), [(Problem::NotEncrypted, None)]);
    let underway = |stage| (Problem::Underway { stage }, None);
    assert_eq!(problems_at(Stage::Decrypting, &phone(), &text), [underway(Stage::Decrypting)]);
    // Bytes are what envelopes are written to; the constraint comes last.
    let bytes = StoredColumn { checks: vec![], ..good() };
    assert_eq!(problems_at(Stage::Encrypting, &phone(), &bytes), [underway(Stage::Encrypting)]);
    assert_eq!(faults(&problems_at(Stage::Encrypting, &phone(), &text)).len(), 3, "type, default, index");
    for stage in [Stage::Plain, Stage::Decrypting] {
        let remedy = Some("ALTER TABLE `shop`.`customers` DROP CONSTRAINT `c`".to_owned());
        let in_the_way = (Problem::CheckInTheWay { constraint: "c".into() }, remedy);
        assert_eq!(faults(&problems_at(stage, &phone(), &good())), [in_the_way], "{stage}");
    }
    assert_eq!(faults(&problems_at(Stage::Sealed, &phone(), &bytes)).len(), 1);
}
