//! Reading and writing files of the server's host from a query.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;

pub(super) const RULE: Rule = Rule {
    id: RuleId("file-access"),
    summary: "INTO OUTFILE, INTO DUMPFILE or LOAD_FILE",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT '<?php' INTO OUTFILE '/var/www/a.php'",
        "SELECT a FROM t WHERE id = 1 INTO DUMPFILE '/tmp/x'",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT a FROM t UNION SELECT load_file(0x2f6574632f706173737764)",
    ],
    passes: &[
        "SELECT outfile FROM jobs",
        "SELECT a FROM t WHERE note = 'INTO OUTFILE'",
        "SELECT a INTO @a FROM t WHERE id = 1",
        "INSERT INTO dumpfile (a) VALUES (1)",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.has_call(&["LOAD_FILE"])
        || ["OUTFILE", "DUMPFILE"].iter().any(|target| {
            reading.words().windows(2).any(|pair| matches!(pair, [into, word]
                if reading.is_word(*into, "INTO") && reading.is_word(*word, target) && reading.followed_by_string(*word)))
        })
}
