//! A generated column that holds the first bytes of envelopes: values are compared by it, and it tells nobody of them who may
//! not see them.

use super::alike::Select;
use super::{Kind, Twins, sorted_as};
use crate::support::shop::{Answer, Who, refused, text};

/// Statements that compare values by what is equal for equal ones.
const SELECTS: &[Select] = &[
    ("SELECT code, COUNT(*) AS n FROM {t} GROUP BY code", &[]),
    ("SELECT t.code AS c, COUNT(*) AS n FROM {t} t GROUP BY c HAVING n > 1", &[]),
    ("SELECT COUNT(DISTINCT code) AS n, COUNT(DISTINCT code, name) AS m FROM {t}", &[]),
    ("SELECT a.id, b.id AS other FROM {t} a JOIN {t} b ON a.code = b.code AND a.id < b.id", &[]),
    ("SELECT a.id, b.id AS other FROM {t} a LEFT JOIN {t} b ON b.code = a.code AND b.id > 3", &[]),
    ("SELECT a.id, a.code = b.code AS same FROM {t} a JOIN {t} b ON a.code <=> b.code OR a.code <> b.code", &[]),
    ("SELECT id FROM {t} WHERE code IN (SELECT c.code FROM {t} c WHERE c.phone = '1')", &[]),
    ("SELECT id FROM {t} WHERE code NOT IN (SELECT code FROM {t} WHERE id = 2)", &[]),
    ("SELECT id FROM {t} o WHERE EXISTS (SELECT 1 FROM {t} i WHERE i.code = o.code AND i.id <> o.id)", &[]),
    ("SELECT id, ROW_NUMBER() OVER (PARTITION BY code ORDER BY id) AS n FROM {t}", &[]),
    ("SELECT d.code, COUNT(*) AS n FROM (SELECT code FROM {t}) d GROUP BY d.code", &[]),
    ("SELECT code FROM {t} UNION SELECT code FROM {t}", &[]),
    ("SELECT id, code, phone FROM {t}", &[]),
    ("SELECT DISTINCT code FROM {t}", &[]),
    ("SELECT DISTINCT t.code AS c, name FROM {t} t WHERE id > 1", &[]),
    ("SELECT DISTINCT a.code, b.code AS other FROM {t} a JOIN {t} b ON b.id > a.id", &[]),
    ("SELECT DISTINCT code FROM {t} a JOIN {t} b USING (code)", &[]),
    ("SELECT id, code FROM {t} a JOIN {t} b USING (id, code)", &[]),
    ("SELECT * FROM {t} a RIGHT JOIN {t} b USING (code, phone)", &[]),
    (
        "SELECT code, one FROM {t} a NATURAL RIGHT JOIN (SELECT phone, code, 1 AS one FROM {t}) d WHERE phone IS NOT NULL",
        &[],
    ),
];

/// Statements that MySQL alone answers.
const ROLLUPS: &[Select] = &[
    ("SELECT code, COUNT(*) AS n FROM {t} GROUP BY code WITH ROLLUP", &[]),
    ("SELECT code AS c, phone, SUM(id), MAX(name) FROM {t} GROUP BY c, phone WITH ROLLUP", &[]),
];

/// Statements of which the server's plan names the generated column.
const USING_IT: &[&str] = &[
    "SELECT a.id FROM customers a JOIN customers b ON a.code = b.code WHERE b.id = 1",
    "SELECT a.id FROM customers a JOIN customers b USING (code) WHERE b.id = 1",
    "SELECT a.id FROM customers a JOIN (SELECT id, code FROM customers LIMIT 2) b ON a.code = b.code",
];

/// What shows or uses the generated column.
const NAMING: &[&str] = &[
    "SELECT code_tag FROM customers WHERE id = 1",
    "SELECT COUNT(*) FROM customers GROUP BY code_tag",
    "SELECT COUNT(*) FROM customers a JOIN customers b ON a.code_tag = b.code_tag",
    "SELECT COUNT(*) FROM (SELECT code_tag AS c FROM customers) d",
];

impl Twins {
    /// Has the server keep the first bytes of a column's envelopes in a column of their own, `<name>_tag`.
    pub(super) async fn add_tag(&mut self, name: &str) {
        let (server, database) = (&self.shop.deployment.server, &self.shop.database);
        server.sql(&format!(
            "USE `{database}`; ALTER TABLE customers ADD {name}_tag VARBINARY(23) AS (SUBSTRING({name}, 1, 23)) INVISIBLE, \
             ADD KEY by_{name}_tag ({name}_tag)"
        ));
        // The proxy loads the catalog again behind a change of the schema that it sees.
        text(&mut self.through, "DROP TABLE IF EXISTS nothing").await;
    }
}

pub(super) async fn values_are_compared_by_a_generated_column(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.add_tag("code").await;
    let rollups = if kind == Kind::MySql { ROLLUPS } else { &[] };
    twins.assert_alike(kind, SELECTS.iter().chain(rollups), sorted_as).await;
    for sql in USING_IT {
        let plan = text(&mut twins.through, format!("EXPLAIN FORMAT=JSON {sql}")).await;
        let plan = format!("{:?}", plan.cells());
        assert!(plan.contains("by_code_tag"), "answered by the index: {sql}\n{plan}");
    }
    for sql in NAMING {
        assert!(matches!(text(&mut twins.through, sql).await, Answer::Rows { .. }), "{sql}");
    }
    let mut engineer = twins.shop.connect(Who::Engineer).await;
    for sql in NAMING {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}
