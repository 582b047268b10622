//! A statement without a value in it: as it came, or planned, as it goes to the server.
//!
//! Literals are `?` like parameters. What keys would make is named in angle brackets: an envelope, and the bounds of a
//! blind index. While two index keys are in use, or a column is being converted, the real text has more alternatives.

use crate::firewall::Vocabulary;
use crate::plan::{
    Admitted, Among, Bound, Comparison, Joined, Pair, Piece, Qualified, SetPart, SetText, Splice, SpliceKind,
    TableColumn, Value, nested_column, set_texts,
};
use crate::schema::ServerKind;
use crate::sql::tree::TokenRange;
use crate::sql::{self, Dialect, Token};

/// Who may read a text, and so which of its names stand in it.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// Whoever wrote it: all of them.
    AsWritten,
    /// Others: a value that was pasted without quotes is a name to the lexer, so names alone that the schema knows.
    Known(Vocabulary<'a>),
}

/// The text of a statement that may be sent. Comments are left out, runs of white space are one blank.
pub(super) fn text(admitted: &Admitted<'_>, names: Names<'_>) -> String {
    let plan = admitted.plan();
    sketch(admitted.sql(), admitted.tokens(), (&plan.splices, &plan.qualified, plan.bound.as_ref()), names)
}

/// The text of any statement that the lexer can read.
pub fn of_text(sql: &[u8], dialect: &Dialect, names: Names<'_>) -> Option<String> {
    let mut tokens = Vec::new();
    sql::lex(sql, dialect, &mut tokens).ok()?;
    Some(sketch(sql, &tokens, (&[], &[], None), names))
}

fn sketch(
    sql: &[u8],
    tokens: &[Token],
    (splices, qualified, bound): (&[Splice], &[Qualified], Option<&Bound>),
    names: Names<'_>,
) -> String {
    let mut out = Sketch { sql, tokens, names, qualified, text: String::new(), end: None };
    let sets: Vec<&SetPart> = splices.iter().filter_map(set_part).collect();
    let mut splices = splices.iter().peekable();
    let mut at = 0_usize;
    while let Some(token) = tokens.get(at) {
        let splice = splices.next_if(|splice| usize::try_from(splice.tokens.first).is_ok_and(|first| first == at));
        if let Some(bound) = bound.filter(|bound| usize::try_from(bound.before).is_ok_and(|before| before == at)) {
            out.ties(bound);
        }
        out.gap(*token);
        out.around(&sets, at, Side::Head);
        let last = match splice {
            Some(splice) => {
                out.splice(splice);
                usize::try_from(splice.tokens.last).unwrap_or(usize::MAX)
            }
            None => {
                out.token(*token);
                at
            }
        };
        out.end = tokens.get(last).map(|token| token.end);
        out.around(&sets, last, Side::Tail);
        at = last.saturating_add(1);
    }
    out.text
}

struct Sketch<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    names: Names<'a>,
    qualified: &'a [Qualified],
    text: String,
    /// Where the last token ended.
    end: Option<u32>,
}

impl Sketch<'_> {
    fn gap(&mut self, next: Token) {
        if self.end.is_some_and(|end| end < next.start) {
            self.text.push(' ');
        }
    }

    /// The columns that cells are bound to.
    fn ties(&mut self, bound: &Bound) {
        for tie in &bound.ties {
            let (before, behind) = tie.form.cast();
            let table = match self.names {
                Names::AsWritten => format!("{}.", tie.table),
                // It may be an alias.
                Names::Known(_) => String::new(),
            };
            self.text.push_str(&format!(", {before}{table}{}{behind}", tie.column));
        }
    }

    fn token(&mut self, token: Token) {
        let text = self.shown(token);
        self.text.push_str(&text);
    }

    /// A token as it is sent, with the table that is put before it.
    fn shown(&self, token: Token) -> String {
        let mut text = self.table_of(token);
        match self.names {
            Names::AsWritten if token.kind.is_value() => text.push('?'),
            Names::AsWritten => text.push_str(&shown(token.bytes(self.sql))),
            Names::Known(vocabulary) => vocabulary.put(token, self.sql, &mut text),
        }
        text
    }

    fn splice(&mut self, splice: &Splice) {
        match &splice.kind {
            SpliceKind::Seal(Value::Null) | SpliceKind::Constant(Value::Null) => self.text.push_str("NULL"),
            SpliceKind::Seal(Value::Literal(_) | Value::Param(_) | Value::Pattern(_))
            | SpliceKind::Constant(Value::Literal(_) | Value::Param(_) | Value::Pattern(_)) => {
                self.text.push_str("<sealed>")
            }
            SpliceKind::Operand => {}
            SpliceKind::Tag { of, .. } => {
                let name = self.name(of.tokens);
                self.text.push_str(&format!("<tag of {name}>"));
            }
            SpliceKind::AnyOf { of, among, .. } => {
                let name = self.name(of.tokens);
                self.text.push_str(&match among {
                    Among::Group => format!("ANY_VALUE({name})"),
                    Among::Rollup => format!("IF(GROUPING(<tag of {name}>), NULL, MIN({name}))"),
                    Among::Query => format!("MIN({name}) OVER (PARTITION BY <tag of {name}>)"),
                });
            }
            SpliceKind::NullIf { column_tokens, .. } => {
                let name = self.name(*column_tokens);
                self.text.push_str(&format!("IF({}, {name}, NULL)", range(&name)));
            }
            SpliceKind::Match { left, right, comparison, .. } => {
                self.compared(left.tokens, *comparison, right.tokens);
            }
            SpliceKind::Rows { comparison, rows } => self.rows(*comparison, rows),
            SpliceKind::Sorted(pieces) => self.pieces(pieces),
            SpliceKind::Joined(joined) => self.joined(joined, splice.tokens),
            SpliceKind::Set(part) => self.text.push_str(&self.set(part, Side::Operator)),
            SpliceKind::Kept(_) => self.text.push_str("<kept in the proxy>"),
            SpliceKind::Search { column_tokens, comparison, values } => {
                let name = self.name(*column_tokens);
                let terms: Vec<String> = values.iter().map(|value| term(&name, *comparison, *value)).collect();
                let any =
                    if let [term] = terms.as_slice() { term.clone() } else { format!("({})", terms.join(" OR ")) };
                match comparison {
                    Comparison::Equal | Comparison::NullSafeEqual => self.text.push_str(&any),
                    Comparison::NotEqual => self.text.push_str(&format!("(NOT {any})")),
                }
            }
        }
    }

    /// What is put before or behind a token, around operands of set operations: what is around comes before what is
    /// inside, and behind it.
    fn around(&mut self, sets: &[&SetPart], at: usize, side: Side) {
        let end = |part: &SetPart| match side {
            Side::Head => part.operands.first,
            Side::Operator | Side::Tail => part.operands.last,
        };
        let mut here: Vec<&&SetPart> = sets.iter().filter(|part| usize::try_from(end(part)) == Ok(at)).collect();
        here.sort_by_key(|part| part.operands.last.saturating_sub(part.operands.first));
        if side == Side::Head {
            here.reverse();
        }
        here.iter().for_each(|part| self.text.push_str(&self.set(part, side)));
    }

    /// What is written of a set operation, as MySQL reads it.
    fn set(&self, part: &SetPart, side: Side) -> String {
        let columns: Vec<SetText> = (0_usize..)
            .zip(&part.columns)
            .map(|(position, column)| SetText {
                name: match self.names {
                    Names::AsWritten => column.name.as_ref().map(|name| format!("`{name}`").into_bytes()),
                    Names::Known(_) => None,
                },
                tag: column.protected.map(|_| format!("<tag of {}>", nested_column(position)).into_bytes()),
            })
            .collect();
        let texts = set_texts(part.rows, &columns, ServerKind::MySql);
        shown(match side {
            Side::Head => &texts.head,
            Side::Operator => &texts.operator,
            Side::Tail => &texts.tail,
        })
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for (position, piece) in pieces.iter().enumerate() {
            if position > 0 {
                self.text.push(' ');
            }
            match piece {
                Piece::Words(words) => self.text.push_str(words),
                Piece::Tokens(range) => {
                    let range = usize::try_from(range.first).and_then(|first| Ok(first..=usize::try_from(range.last)?));
                    let tokens = range.ok().and_then(|range| self.tokens.get(range)).unwrap_or_default();
                    self.end = None;
                    for token in tokens {
                        self.gap(*token);
                        self.token(*token);
                        self.end = Some(token.end);
                    }
                }
            }
        }
    }

    fn rows(&mut self, comparison: Comparison, rows: &[Vec<Pair>]) {
        let not = match comparison {
            Comparison::Equal | Comparison::NullSafeEqual => "",
            Comparison::NotEqual => "NOT ",
        };
        self.text.push_str(&format!("({not}("));
        for (position, row) in rows.iter().enumerate() {
            self.text.push_str(if position > 0 { ") OR (" } else { "" });
            for (position, pair) in row.iter().enumerate() {
                self.text.push_str(if position > 0 { " AND " } else { "" });
                match &pair.protected {
                    Some(splice) => self.splice(splice),
                    None => self.pair(comparison, pair),
                }
            }
        }
        self.text.push_str("))");
    }

    fn pair(&mut self, comparison: Comparison, pair: &Pair) {
        let operator = match comparison {
            Comparison::Equal | Comparison::NotEqual => "=",
            Comparison::NullSafeEqual => "<=>",
        };
        self.text.push_str(&format!("{} {operator} ", self.name(pair.column_tokens)));
        let other = self.name(pair.other_tokens);
        self.text.push_str(&other);
    }

    fn compared(&mut self, one: TokenRange, comparison: Comparison, other: TokenRange) {
        let operator = match comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::NullSafeEqual => "<=>",
        };
        let (one, other) = (self.name(one), self.name(other));
        self.text.push_str(&format!("(<tag of {one}> {operator} <tag of {other}>)"));
    }

    fn name(&self, range: TokenRange) -> String {
        let tokens = usize::try_from(range.first).and_then(|first| Ok(first..=usize::try_from(range.last)?));
        let tokens = tokens.ok().and_then(|range| self.tokens.get(range)).unwrap_or_default();
        tokens.iter().map(|token| self.shown(*token)).collect()
    }

    /// The table that is sent before a name, with its dot.
    fn table_of(&self, token: Token) -> String {
        let is_it = |name: &&Qualified| {
            let named = usize::try_from(name.token).ok().and_then(|at| self.tokens.get(at));
            named.is_some_and(|named| named.start == token.start)
        };
        self.qualified.iter().find(is_it).map(|name| format!("`{}`.", name.table)).unwrap_or_default()
    }

    fn joined(&mut self, joined: &Joined, tokens: TokenRange) {
        let column = |column: &TableColumn| format!("`{}`.`{}`", column.table, column.column);
        let on: Vec<String> = joined
            .pairs()
            .iter()
            .map(|pair| {
                let (left, right) = (column(&pair.left), column(&pair.right));
                match pair.protected {
                    Some(_) => format!("(<tag of {left}> = <tag of {right}>)"),
                    None => format!("{left} = {right}"),
                }
            })
            .collect();
        let text = match joined {
            Joined::Natural => String::new(),
            Joined::Using(_) => format!("ON ({})", on.join(" AND ")),
            Joined::Behind(_) => format!("{} ON ({})", self.name(tokens), on.join(" AND ")),
            Joined::Star(columns) => columns.iter().map(column).collect::<Vec<_>>().join(", "),
        };
        self.text.push_str(&text);
    }
}

/// Which text of a set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Head,
    Operator,
    Tail,
}

fn set_part(splice: &Splice) -> Option<&SetPart> {
    if let SpliceKind::Set(part) = &splice.kind { Some(part) } else { None }
}

/// A word or sign. What is no UTF-8 is escaped.
fn shown(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

fn term(name: &str, comparison: Comparison, value: Value) -> String {
    match (comparison, value) {
        (Comparison::NullSafeEqual, Value::Null) => format!("({name} IS NULL)"),
        (Comparison::Equal | Comparison::NotEqual, Value::Null) => format!("({name} = NULL)"),
        (Comparison::Equal | Comparison::NotEqual, Value::Literal(_) | Value::Param(_) | Value::Pattern(_)) => {
            range(name)
        }
        (Comparison::NullSafeEqual, Value::Literal(_)) => format!("({name} IS NOT NULL AND {})", range(name)),
        (Comparison::NullSafeEqual, Value::Param(_) | Value::Pattern(_)) => {
            format!("(({name} IS NOT NULL AND {}) OR ({name} IS NULL AND ? IS NULL))", range(name))
        }
    }
}

fn range(name: &str) -> String {
    format!("({name} >= <tag> AND {name} < <tag+1>)")
}
