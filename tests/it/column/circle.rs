//! All the way round: encrypted, sealed again under new keys, decrypted, and equal to what was there before.

use super::Bench;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider};
use crate::support::server::Kind;

on_each_server!(what_went_all_the_way_round_is_what_was_there);

async fn what_went_all_the_way_round_is_what_was_there(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 4000);
    let contents = bench.contents();
    let table = bench.sql(
        "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, IS_NULLABLE FROM \
        information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY ORDINAL_POSITION",
    );
    let indexes = bench.sql(
        "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE FROM information_schema.STATISTICS \
        WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1, 2",
    );
    bench.run("encrypt", &["--ddl", "run", "--json"]).ok();

    bench.rotate("data");
    let renewed = bench.run("reencrypt", &["--json"]).ok().json();
    let keys = renewed["proofs"][0]["by_key"].as_object().unwrap().clone();
    assert_eq!(keys.len(), 1, "all rows are under one key: {renewed:#}");
    bench.rotate("index");
    let before = bench.sql("SELECT SUM(HEX(phone) LIKE 'C1FE1D01100001%') FROM customers");
    let reindexed = bench.run("reindex", &["--json"]).ok().json();
    let versions = reindexed["proofs"][0]["by_index_version"].as_object().unwrap().clone();
    assert_eq!(versions.len(), 1, "{reindexed:#}");
    assert_ne!(before, "0\n");
    assert_eq!(reindexed["proofs"][0]["by_key"].as_object().unwrap(), &keys, "the data key stayed");

    let plain = bench.run("decrypt", &["--ddl", "run", "--json"]).ok().json();
    assert_eq!(plain["proofs"][0]["kind"], "plain");
    assert_eq!(bench.contents(), contents, "the oracle");
    assert_eq!(
        bench.sql(
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, IS_NULLABLE FROM \
        information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY ORDINAL_POSITION"
        ),
        table
    );
    assert_eq!(
        bench.sql(
            "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE FROM information_schema.STATISTICS \
        WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1, 2"
        ),
        indexes
    );
}
