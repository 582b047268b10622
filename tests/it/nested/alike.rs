//! Loops over statements that a plain table answers too, or that are refused.

use super::{ROWS, Twins, Values, sorted};
use crate::stages::TO_BYTES;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, observing_policy, prepared, refused, text};

/// What of an answer is compared.
pub(super) type Shaped = fn(Kind, Values, Answer) -> Answer;

/// A statement and its parameters.
pub(super) type Select = (&'static str, &'static [&'static str]);

impl Twins {
    /// Sends statements whole and prepared: each shows rows, and those of a plain table.
    pub(super) async fn assert_alike(
        &mut self,
        kind: Kind,
        statements: impl IntoIterator<Item = &Select>,
        shaped: Shaped,
    ) {
        let mut wrong = Vec::new();
        for (sql, params) in statements {
            let [whole, prepared] = self.answers(sql, params).await;
            for (values, (through, direct)) in [(Values::Literal, whole), (Values::Param, prepared)] {
                let (through, direct) = (shaped(kind, values, through), shaped(kind, values, direct));
                if through != direct || !matches!(through, Answer::Rows { .. }) {
                    wrong.push(format!("{values:?} {sql}\n  through {through:?}\n  direct  {direct:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// What Candado cannot do.
    pub(super) async fn assert_refused(&mut self, statements: &[&str]) {
        for sql in statements {
            refused(&mut self.through, sql, 1235, "42000").await;
        }
    }

    /// Statements that need all cells to be indexed under one key: they are those of a plain table while the columns are
    /// text, and refused from the first envelope on, which is the state that is left.
    pub(super) async fn of_several_forms(kind: Kind, statements: &[&str]) -> Self {
        let shop = Shop::open_plain_as(Deployment::shared(kind), observing_policy);
        let (through, direct) = (shop.connect(Who::Application).await, shop.direct().await);
        let mut twins = Self { shop, through, direct };
        twins.insert(ROWS).await;
        for sql in statements {
            let [(through, direct), _] = twins.answers(sql, &[]).await;
            assert_eq!(sorted(kind, through), sorted(kind, direct), "as text: {sql}");
        }
        let (server, database) = (&twins.shop.deployment.server, &twins.shop.database);
        server.sql(&format!("USE `{database}`; {TO_BYTES}"));
        twins.shop.move_to("encrypting");
        for sql in statements {
            let sql = sql.replace("{t}", "customers");
            let whole = text(&mut twins.through, &sql).await;
            for answer in [whole, prepared(&mut twins.through, &sql, ()).await] {
                let Answer::Refused { code: 1235, text, .. } = answer else { panic!("{sql}: {answer:?}") };
                assert!(text.contains("wait for the end of that job"), "{text}");
            }
        }
        twins
    }
}
