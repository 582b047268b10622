//! Plaintext again only with a second person's approval.

use super::Bench;
use crate::support::office::signing_key;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider};
use crate::support::server::Kind;

on_each_server!(plaintext_again_takes_an_approval);

async fn plaintext_again_takes_an_approval(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 300);
    let contents = bench.contents();
    bench.run("encrypt", &["--ddl", "run"]).ok();
    let sealed = bench.contents();
    let key = bench.file("ben.pem").to_str().unwrap().to_owned();
    let public = signing_key(&key);
    bench.configure(&format!("[approval]\nthreshold = 1\nsigners = [{{ name = \"ben\", key = \"{public}\" }}]\n"));

    let refused = bench.run("decrypt", &["--ddl", "run"]);
    assert!(!refused.succeeded && refused.stderr.contains("asked for approval as request"), "{}", refused.stderr);
    let again = bench.run("decrypt", &["--ddl", "run"]);
    assert!(!again.succeeded && again.stderr.contains("0 of 1 signatures"), "it is asked for once: {}", again.stderr);
    assert_eq!(bench.contents(), sealed, "nothing was changed");
    assert!(!bench.stages().contains("decrypting"), "{}", bench.stages());

    let said = &refused.stderr;
    let request = said.split("candado approve ").nth(1).and_then(|rest| rest.split('`').next()).expect(said);
    bench.security(&["approve", request, "--key", &key]);
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.contents(), contents);
    let by = "SELECT COUNT(*) FROM candado.event WHERE act = 'column.decrypt' AND value_after LIKE '%ben%'";
    assert_eq!(bench.sql(by), "1\n", "the record says who approved");
    // The approval served once.
    bench.run("encrypt", &["--ddl", "run"]).ok();
    let another = bench.run("decrypt", &["--ddl", "run"]);
    assert!(!another.succeeded && another.stderr.contains("asked for approval as request"), "{}", another.stderr);
}
