//! Stars over tables beside columns that the role does not see. How many columns a star stands for is what the catalog says.
//! In the session a temporary table may have the table's name, or the table may be another one since the catalog was read:
//! then all columns behind the star stand elsewhere than the plan has them, under other names and in other cells. No
//! temporary table has the name of a protected one.

use super::query::Place;
use super::{Access, Analysis, Refusal, Scope, construct};
use crate::plan::scope::{Origin, Output, Source};
use crate::policy::ColumnId;
use crate::sql::tree::{Select, SelectItem};

impl Analysis<'_> {
    /// Refuses a star over what holds no column that is hidden from the role, in a query that returns one. In the
    /// outermost query it may stand beside columns of a table itself: the definitions of the result say which they are.
    pub(super) fn stars(
        &self,
        select: &Select,
        outputs: &[Output],
        scope: &Scope<'_>,
        place: Place,
    ) -> Result<(), Refusal> {
        let hidden = outputs.iter().find_map(|output| output.protected.filter(|column| self.is_hidden(*column)));
        let Some(column) = hidden else { return Ok(()) };
        let holds_hidden = |source: &Source| {
            source.columns.iter().any(|column| column.protected.is_some_and(|column| self.is_hidden(column)))
        };
        let told_apart = match place {
            Place::Exists => return Ok(()),
            Place::Top | Place::Enclosed => {
                scope.sources.iter().filter(|source| holds_hidden(source)).all(|source| source.origin == Origin::Table)
            }
            Place::Carried | Place::Tagged(_) | Place::Filling | Place::Nested(_) => false,
        };
        if told_apart {
            return Ok(());
        }
        for item in &select.items {
            let is_elastic = match item {
                SelectItem::Star(_) => !scope.sources.iter().all(holds_hidden),
                SelectItem::QualifiedStar(path) => {
                    let starred = self.starred(path, scope)?;
                    starred.iter().any(|(slot, _)| !scope.sources.get(slot.source).is_some_and(holds_hidden))
                }
                SelectItem::Expr { .. } => false,
            };
            if is_elastic {
                return Err(self.unsupported_to_all(column, construct::STAR));
            }
        }
        Ok(())
    }

    fn is_hidden(&self, column: ColumnId) -> bool {
        self.access(column) != Access::Plain
    }
}
