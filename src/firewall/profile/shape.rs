//! What a statement is made of, as far as an attack could add to it.
//!
//! Written as one line of text, `SELECT table:orders column:id and*2`, because it is kept in the database and reviewed by
//! people. Names are those of tables, columns, functions and variables; no value is in it.

use std::collections::BTreeMap;
use std::fmt;

use crate::firewall::Reading;
use crate::firewall::outline::{CatalogNames, is_system};
use crate::sql::tree::{
    Assignment, BinaryFamily, BinaryOp, Expr, ExprKind, InsertSource, InsertVerb, LiteralKind, MatchOp, Path, Query,
    QueryBody, Select, Statement, TableReference, UnaryOp,
};
use crate::sql::walk::{self, Visitor};
use crate::sql::{self, Marks, TokenKind};

/// A longer shape is not kept: the statement is then known by its digest alone.
pub const SHAPE_OCTETS_MAX: usize = 8_192;

/// Kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartKind {
    /// A table that is read or written, as written.
    Table,
    /// A function, or an expression that works like one.
    Function,
    /// A second and later branch of UNION, INTERSECT or EXCEPT.
    Branch,
    /// A query inside of another statement.
    Subquery,
    /// OR or XOR.
    Or,
    /// AND.
    And,
    /// A comparison of two columns.
    ColumnCompared,
    /// An operator that computes.
    Arithmetic,
    /// A user or system variable.
    Variable,
    /// A kind of comment.
    Comment,
    /// More than one row of VALUES.
    Rows,
    /// A column that an UPDATE, or INSERT … ON DUPLICATE KEY UPDATE, gives a value.
    Assigned,
    /// A column.
    Column,
    /// LIKE, IN, BETWEEN and the like; a comparison other than for equality.
    Predicate,
    /// GROUP BY, HAVING, ORDER BY, LIMIT, INTO, a lock.
    Clause,
    /// A literal that spells bytes.
    Bytes,
}

const KINDS: [(PartKind, &str); 16] = [
    (PartKind::Table, "table"),
    (PartKind::Function, "function"),
    (PartKind::Branch, "branch"),
    (PartKind::Subquery, "subquery"),
    (PartKind::Or, "or"),
    (PartKind::And, "and"),
    (PartKind::ColumnCompared, "column-compared"),
    (PartKind::Arithmetic, "arithmetic"),
    (PartKind::Variable, "variable"),
    (PartKind::Comment, "comment"),
    (PartKind::Rows, "rows"),
    (PartKind::Assigned, "assigned"),
    (PartKind::Column, "column"),
    (PartKind::Predicate, "predicate"),
    (PartKind::Clause, "clause"),
    (PartKind::Bytes, "bytes"),
];

impl PartKind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// One part: its kind, and its name if it has one.
pub type Part = (PartKind, Box<str>);

/// A part as the text form of a shape has it: `table:orders`, `or`.
pub fn part_text((kind, name): &Part) -> String {
    if name.is_empty() { kind.name().to_owned() } else { format!("{}:{}", kind.name(), escaped(name)) }
}

/// A statement's kind and parts, each with how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    head: Box<str>,
    parts: BTreeMap<Part, u32>,
}

impl Shape {
    /// The shape of a statement with a tree. Others have none, and are known by their digest alone.
    pub fn of(reading: &Reading<'_>, names: &CatalogNames) -> Option<Self> {
        let statement = reading.statement()?;
        let mut collect = Collect { reading, names, parts: BTreeMap::new() };
        collect.statement(statement);
        collect.tokens();
        walk::statement(&mut collect, statement);
        let shape = Self { head: head(statement).into(), parts: collect.parts };
        (shape.to_string().len() <= SHAPE_OCTETS_MAX).then_some(shape)
    }

    /// The statement's kind.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Its parts.
    pub fn parts(&self) -> impl Iterator<Item = (&Part, u32)> {
        self.parts.iter().map(|(part, count)| (part, *count))
    }

    /// How often a part occurs.
    pub fn count(&self, part: &Part) -> u32 {
        self.parts.get(part).copied().unwrap_or_default()
    }

    /// Reads its text form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let head = words.next().filter(|head| !head.is_empty() && *head != "-")?;
        let mut parts = BTreeMap::new();
        for word in words {
            let (named, count) = match word.rsplit_once('*') {
                Some((named, count)) => (named, count.parse().ok()?),
                None => (word, 1),
            };
            let (kind, name) = named.split_once(':').unwrap_or((named, ""));
            parts.insert((PartKind::from_name(kind)?, unescaped(name)?.into()), count);
        }
        (text.len() <= SHAPE_OCTETS_MAX).then(|| Self { head: head.into(), parts })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        for (part, count) in &self.parts {
            write!(f, " {}", part_text(part))?;
            if *count > 1 {
                write!(f, "*{count}")?;
            }
        }
        Ok(())
    }
}

/// A name in ASCII without blanks, `:` and `*`: other bytes as `%` and two digits.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.-@><=".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

fn head(statement: &Statement) -> String {
    match statement {
        Statement::Query(_) => "SELECT".to_owned(),
        Statement::Insert(insert) => match insert.verb {
            InsertVerb::Insert => "INSERT".to_owned(),
            InsertVerb::Replace => "REPLACE".to_owned(),
        },
        Statement::Update(_) => "UPDATE".to_owned(),
        Statement::Delete(_) => "DELETE".to_owned(),
        Statement::Explain(inner) => format!("EXPLAIN-{}", head(inner)),
    }
}

struct Collect<'r, 'a> {
    reading: &'r Reading<'a>,
    names: &'r CatalogNames,
    parts: BTreeMap<Part, u32>,
}

impl Collect<'_, '_> {
    fn add(&mut self, kind: PartKind, name: &str) {
        let count = self.parts.entry((kind, name.into())).or_default();
        *count = count.saturating_add(1);
    }

    fn column(&mut self, kind: PartKind, path: &Path) {
        if let Some(name) = path.parts.last() {
            let name = self.names.shown(self.reading.name(*name)).to_lowercase();
            self.add(kind, &name);
        }
    }

    fn table_named(&mut self, path: &Path) {
        let names: Vec<_> = path.parts.iter().map(|part| self.reading.name(*part)).collect();
        let is_servers_own = names.len() > 1 && names.first().is_some_and(|database| is_system(database));
        let shown = |name| if is_servers_own { name } else { self.names.shown(name) };
        let names: Vec<_> = names.into_iter().map(shown).collect();
        self.add(PartKind::Table, &names.join("."));
    }

    fn assigned(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            self.column(PartKind::Assigned, &assignment.column);
        }
    }

    /// What no expression and no query shows.
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(_) => {}
            Statement::Insert(insert) => {
                self.table_named(&insert.table);
                self.assigned(&insert.on_duplicate);
                for column in insert.columns.iter().flatten() {
                    self.column(PartKind::Column, column);
                }
                match &insert.source {
                    InsertSource::Values(rows) if rows.len() > 1 => self.add(PartKind::Rows, ""),
                    InsertSource::Values(_) => {}
                    InsertSource::Set(list) => list.iter().for_each(|one| self.column(PartKind::Column, &one.column)),
                    InsertSource::Query(_) => self.add(PartKind::Subquery, ""),
                }
            }
            Statement::Update(update) => {
                self.assigned(&update.assignments);
                self.clause("ORDER", !update.order_by.is_empty());
                self.clause("LIMIT", !update.limit.is_empty());
            }
            Statement::Delete(delete) => {
                self.clause("ORDER", !delete.order_by.is_empty());
                self.clause("LIMIT", !delete.limit.is_empty());
            }
            Statement::Explain(inner) => self.statement(inner),
        }
    }

    fn clause(&mut self, name: &str, is_there: bool) {
        if is_there {
            self.add(PartKind::Clause, name);
        }
    }

    /// What only tokens show.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind is a variable")]
    fn tokens(&mut self) {
        const NAMES: [(Marks, &str); 7] = [
            (Marks::VERSIONED, "versioned"),
            (Marks::BLOCK_AFTER, "block"),
            (Marks::DASH_AFTER, "line"),
            (Marks::HASH_AFTER, "line"),
            (Marks::HINT_AFTER, "hint"),
            (Marks::SKIPPED_AFTER, "versioned"),
            (Marks::COMMENT_BEFORE, "before"),
        ];
        for token in self.reading.tokens() {
            for (mark, name) in NAMES {
                if token.marks.contains(mark) {
                    self.add(PartKind::Comment, name);
                }
            }
            match token.kind {
                TokenKind::UserVariable => self.add(PartKind::Variable, "@"),
                TokenKind::SystemVariable => {
                    let name = sql::name(self.reading.sql(), *token).to_lowercase();
                    self.add(PartKind::Variable, &format!("@@{name}"));
                }
                _ => {}
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) {
        match op.family() {
            BinaryFamily::Boolean if op == BinaryOp::And => self.add(PartKind::And, ""),
            BinaryFamily::Boolean => self.add(PartKind::Or, ""),
            BinaryFamily::Equality => {
                if op == BinaryOp::NotEqual {
                    self.add(PartKind::Predicate, "<>");
                }
                self.compared(left, right);
            }
            BinaryFamily::Order => {
                self.add(PartKind::Predicate, "<");
                self.compared(left, right);
            }
            BinaryFamily::Arithmetic | BinaryFamily::Concat => self.add(PartKind::Arithmetic, ""),
        }
    }

    fn compared(&mut self, left: &Expr, right: &Expr) {
        let is_column = |expr: &Expr| matches!(crate::firewall::constant::bare(expr).kind, ExprKind::Column(_));
        if is_column(left) && is_column(right) {
            self.add(PartKind::ColumnCompared, "");
        }
    }

    fn function(&mut self, name: &Path) {
        let names: Vec<_> = name.parts.iter().map(|part| self.reading.name(*part).to_ascii_uppercase()).collect();
        self.add(PartKind::Function, &names.join("."));
    }
}

impl<'t> Visitor<'t> for Collect<'_, '_> {
    fn query(&mut self, query: &'t Query) {
        for _ in query.with.iter().flat_map(|with| &with.tables) {
            self.add(PartKind::Subquery, "");
        }
        match &query.body {
            QueryBody::SetOperation { .. } => self.add(PartKind::Branch, ""),
            QueryBody::Table(path) => self.table_named(path),
            QueryBody::Values(rows) if rows.len() > 1 => self.add(PartKind::Rows, ""),
            QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::Parenthesised(_) => {}
        }
        self.clause("ORDER", !query.order_by.is_empty());
        self.clause("LIMIT", !query.limit.is_empty());
        self.clause("LOCK", query.locking.is_some());
        self.clause("INTO", query.into.is_some());
    }

    fn select(&mut self, select: &'t Select) {
        self.clause("GROUP", !select.group_by.is_empty());
        self.clause("HAVING", select.having.is_some());
    }

    fn table(&mut self, table: &'t TableReference) {
        match table {
            TableReference::Named { path, .. } => self.table_named(path),
            TableReference::Derived { .. } => self.add(PartKind::Subquery, ""),
            TableReference::Function { .. } => self.add(PartKind::Function, "TABLE"),
            TableReference::Join { .. } | TableReference::Parenthesised(_) | TableReference::Versioned { .. } => {}
        }
    }

    fn expr(&mut self, expr: &'t Expr) {
        match &expr.kind {
            ExprKind::Column(path) | ExprKind::Values(path) | ExprKind::Default(Some(path)) => {
                self.column(PartKind::Column, path);
            }
            ExprKind::JsonExtract(path) => {
                self.column(PartKind::Column, path);
                self.add(PartKind::Function, "->");
            }
            ExprKind::Literal(LiteralKind::Hex | LiteralKind::Bit) => self.add(PartKind::Bytes, ""),
            ExprKind::Unary { op: UnaryOp::Minus, operand } if !matches!(operand.kind, ExprKind::Literal(_)) => {
                self.add(PartKind::Arithmetic, "");
            }
            ExprKind::Unary { op: UnaryOp::BitNot, .. } => self.add(PartKind::Arithmetic, ""),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right),
            ExprKind::Is { .. } => self.add(PartKind::Predicate, "IS"),
            ExprKind::Between { .. } => self.add(PartKind::Predicate, "BETWEEN"),
            ExprKind::In { .. } => self.add(PartKind::Predicate, "IN"),
            ExprKind::InQuery { .. } | ExprKind::Quantified { .. } | ExprKind::Exists(_) | ExprKind::Subquery(_) => {
                self.add(PartKind::Subquery, "");
            }
            ExprKind::Match { op, .. } => self.add(
                PartKind::Predicate,
                match op {
                    MatchOp::Like => "LIKE",
                    MatchOp::Regexp => "REGEXP",
                    MatchOp::SoundsLike => "SOUNDS-LIKE",
                    MatchOp::MemberOf => "MEMBER-OF",
                },
            ),
            ExprKind::Case { .. } => self.add(PartKind::Function, "CASE"),
            ExprKind::Function(function) => self.function(&function.name),
            ExprKind::Cast(_) => self.add(PartKind::Function, "CAST"),
            ExprKind::Collate(_) => self.add(PartKind::Function, "COLLATE"),
            ExprKind::Assign(_) => self.add(PartKind::Function, ":="),
            ExprKind::Literal(
                LiteralKind::String
                | LiteralKind::Integer
                | LiteralKind::Decimal
                | LiteralKind::Float
                | LiteralKind::Boolean
                | LiteralKind::Null
                | LiteralKind::Temporal,
            )
            | ExprKind::Param(_)
            | ExprKind::UserVariable
            | ExprKind::SystemVariable
            | ExprKind::Parenthesised(_)
            | ExprKind::Unary { .. }
            | ExprKind::Row(_)
            | ExprKind::Interval(_)
            | ExprKind::Default(None)
            | ExprKind::Odbc(_) => {}
        }
    }
}
