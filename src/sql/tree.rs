//! The syntax tree of a DML statement.
//!
//! Every node knows the tokens it covers ([`TokenRange`]), so a plan made once per digest applies to every statement of
//! the same digest. The tree holds no text. Nesting is bounded by the parser, so recursion over it is bounded too.

mod operator;

pub use operator::{BinaryFamily, BinaryOp, IsTest, MatchOp, UnaryOp};

/// Position of a token among a statement's executed tokens (comments and white space are no tokens).
pub type TokenIndex = u32;

/// A run of tokens, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenRange {
    /// First token.
    pub first: TokenIndex,
    /// Last token.
    pub last: TokenIndex,
}

/// A name of one to three parts (`column`, `table.column`, `database.table.column`; `table`, `database.table`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Tokens of the parts, without the dots, outermost first. A leading dot (`.t`) is not recorded.
    pub parts: Vec<TokenIndex>,
    /// All tokens.
    pub tokens: TokenRange,
}

/// A statement that the parser understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// SELECT, TABLE, VALUES ROW, WITH … SELECT, and parenthesised forms.
    Query(Query),
    /// INSERT or REPLACE.
    Insert(Insert),
    /// UPDATE of one or more tables.
    Update(Update),
    /// DELETE from one or more tables.
    Delete(Delete),
    /// `EXPLAIN`/`DESCRIBE`/`DESC` (ANALYZE, FORMAT = …) of one of the above. The prefix is not interpreted.
    Explain(Box<Self>),
}

/// A query expression with its tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Common table expressions.
    pub with: Option<With>,
    /// What produces the rows.
    pub body: QueryBody,
    /// ORDER BY of the whole query.
    pub order_by: Vec<OrderItem>,
    /// LIMIT and OFFSET expressions: literals, parameters or names of routine variables.
    pub limit: Vec<Expr>,
    /// MariaDB's ROWS EXAMINED behind LIMIT, with its number or parameter.
    pub examined: Option<TokenRange>,
    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
    pub locking: Option<TokenRange>,
    /// INTO OUTFILE, INTO DUMPFILE, INTO @var.
    pub into: Option<Into>,
    /// All tokens.
    pub tokens: TokenRange,
}

/// INTO clause of a SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Into {
    /// Where the rows go.
    pub target: IntoTarget,
    /// All tokens of the clause.
    pub tokens: TokenRange,
}

/// Destination of SELECT … INTO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntoTarget {
    /// INTO OUTFILE or INTO DUMPFILE.
    File,
    /// INTO @a, @b or routine variables.
    Variables,
}

/// The core of a query expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryBody {
    /// SELECT.
    Select(Box<Select>),
    /// UNION, INTERSECT or EXCEPT, with or without ALL/DISTINCT.
    SetOperation {
        /// How the operands' rows are put together.
        operator: SetOperator,
        /// Left operand.
        left: Box<Query>,
        /// Right operand.
        right: Box<Query>,
    },
    /// TABLE t.
    Table(Path),
    /// VALUES ROW(..), ROW(..).
    Values(Vec<Vec<Expr>>),
    /// A parenthesised query expression.
    Parenthesised(Box<Query>),
}

/// What a set operation does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOperator {
    /// UNION ALL: all of them.
    UnionAll,
    /// UNION: those that differ.
    Union,
    /// INTERSECT: those that both operands have.
    Intersect,
    /// EXCEPT: those that the right operand does not have.
    Except,
    /// INTERSECT ALL and EXCEPT ALL, which count equal rows.
    Counting,
}

/// WITH \[RECURSIVE\] name [(columns)] AS (query), …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct With {
    /// The expressions in order.
    pub tables: Vec<CommonTable>,
}

/// One common table expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonTable {
    /// Its name.
    pub name: TokenIndex,
    /// Its column names, if given.
    pub columns: Vec<TokenIndex>,
    /// Its query.
    pub query: Query,
}

/// A SELECT without its ORDER BY and LIMIT, which belong to [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// DISTINCT or DISTINCTROW was given.
    pub distinct: Option<TokenIndex>,
    /// The select list.
    pub items: Vec<SelectItem>,
    /// Table references, empty for FROM DUAL or none.
    pub from: Vec<TableReference>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY (WITH ROLLUP included).
    pub group_by: Vec<OrderItem>,
    /// HAVING.
    pub having: Option<Expr>,
    /// WINDOW name AS (…): the definitions.
    pub windows: Vec<Window>,
    /// QUALIFY and other trailing conditions, if the server has them.
    pub qualify: Option<Expr>,
    /// From SELECT to the end of the last clause above.
    pub tokens: TokenRange,
}

/// One entry of a select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectItem {
    /// `*`
    Star(TokenIndex),
    /// `t.*` or `db.t.*`: the path names the table.
    QualifiedStar(Path),
    /// An expression with an optional alias.
    Expr {
        /// The expression.
        expr: Expr,
        /// The alias token (identifier or string).
        alias: Option<TokenIndex>,
    },
}

/// A table reference of a FROM clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableReference {
    /// A base table, view or common table expression.
    Named {
        /// Its name.
        path: Path,
        /// Its alias.
        alias: Option<TokenIndex>,
        /// PARTITION (…) and index hints: names only; their tokens.
        modifiers: Option<TokenRange>,
    },
    /// A derived table, LATERAL or not.
    Derived {
        /// Its query.
        query: Box<Query>,
        /// Its alias.
        alias: Option<TokenIndex>,
        /// Its column names, if given.
        columns: Vec<TokenIndex>,
        /// Whether LATERAL precedes it.
        lateral: bool,
    },
    /// MariaDB's `t FOR SYSTEM_TIME …`: a table as it was.
    Versioned {
        /// The table.
        table: Box<Self>,
        /// The expressions of the period.
        period: Vec<Expr>,
    },
    /// JSON_TABLE(…) and other table functions: all expressions in the arguments.
    Function {
        /// Argument expressions.
        args: Vec<Expr>,
        /// Names of its columns, those of nested paths in their order among them.
        columns: Vec<TokenIndex>,
        /// Its alias.
        alias: Option<TokenIndex>,
        /// All tokens.
        tokens: TokenRange,
    },
    /// A join. A comma is a cross join.
    Join {
        /// Left operand.
        left: Box<Self>,
        /// Right operand.
        right: Box<Self>,
        /// Kind of join.
        kind: JoinKind,
        /// Its condition.
        condition: JoinCondition,
    },
    /// A parenthesised list of table references, or an ODBC escape `{ OJ … }`.
    Parenthesised(Vec<Self>),
}

/// Kind of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// INNER, CROSS, STRAIGHT_JOIN or comma.
    Inner,
    /// LEFT \[OUTER\].
    Left,
    /// RIGHT \[OUTER\].
    Right,
}

/// Condition of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinCondition {
    /// None.
    None,
    /// ON expr.
    On(Expr),
    /// USING (columns).
    Using(Vec<TokenIndex>),
    /// NATURAL: the word, and the last token of the right operand.
    Natural(TokenIndex, TokenIndex),
}

/// An expression of ORDER BY or GROUP BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderItem {
    /// The expression.
    pub expr: Expr,
}

/// INSERT or REPLACE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// INSERT or REPLACE.
    pub verb: InsertVerb,
    /// Target table.
    pub table: Path,
    /// The column list: `None` if there is none, `Some(vec![])` for `()`. Each entry may be qualified.
    pub columns: Option<Vec<Path>>,
    /// The rows.
    pub source: InsertSource,
    /// `AS alias(columns)` behind VALUES or SET.
    pub row_alias: Option<RowAlias>,
    /// ON DUPLICATE KEY UPDATE.
    pub on_duplicate: Vec<Assignment>,
    /// MariaDB's RETURNING.
    pub returning: Vec<SelectItem>,
    /// Options, PARTITION (…): tokens between the verb and the source that hold names or keywords only.
    pub tokens: TokenRange,
}

/// INSERT or REPLACE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertVerb {
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
}

/// The rows of an INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertSource {
    /// VALUES (..), (..) or VALUES ROW(..), ROW(..); DEFAULT appears as [`ExprKind::Default`].
    Values(Vec<Vec<Expr>>),
    /// SET col = expr, …
    Set(Vec<Assignment>),
    /// SELECT, TABLE or a parenthesised query.
    Query(Box<Query>),
}

/// `AS new` or `AS new(a, b)` of an INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAlias {
    /// The alias of the row.
    pub name: TokenIndex,
    /// Aliases of its columns.
    pub columns: Vec<TokenIndex>,
}

/// `column = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The column.
    pub column: Path,
    /// The value.
    pub value: Expr,
}

/// UPDATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Common table expressions.
    pub with: Option<With>,
    /// The tables; one plain name for a single-table UPDATE.
    pub tables: Vec<TableReference>,
    /// SET.
    pub assignments: Vec<Assignment>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// ORDER BY.
    pub order_by: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Vec<Expr>,
    /// MariaDB's RETURNING.
    pub returning: Vec<SelectItem>,
    /// All tokens.
    pub tokens: TokenRange,
}

/// DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Common table expressions.
    pub with: Option<With>,
    /// Targets of a multi-table DELETE (`DELETE t1, t2 FROM …`, `DELETE FROM t1 USING …`); empty for a single table.
    pub targets: Vec<Path>,
    /// The tables; one plain name for a single-table DELETE.
    pub tables: Vec<TableReference>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// ORDER BY.
    pub order_by: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Vec<Expr>,
    /// MariaDB's RETURNING.
    pub returning: Vec<SelectItem>,
    /// All tokens.
    pub tokens: TokenRange,
}

/// An expression with the tokens it covers. Parentheses belong to a node of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The tokens.
    pub tokens: TokenRange,
}

/// Kinds of expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// A column (or an alias, or a routine variable): resolution decides.
    Column(Path),
    /// A literal. A string literal covers its introducer and all adjacent strings.
    Literal(LiteralKind),
    /// `?`, counted from 0 through the whole statement.
    Param(u16),
    /// `@name`.
    UserVariable,
    /// `@@name`, `@@session.name`.
    SystemVariable,
    /// `@name := expr`.
    Assign(Box<Expr>),
    /// `(expr)`.
    Parenthesised(Box<Expr>),
    /// A prefix operator.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// An infix operator.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// IS \[NOT\] NULL | TRUE | FALSE | UNKNOWN.
    Is {
        /// Operand.
        operand: Box<Expr>,
        /// What is tested.
        test: IsTest,
        /// With NOT.
        negated: bool,
    },
    /// \[NOT\] BETWEEN.
    Between {
        /// Operand, lower and upper bound.
        operands: Box<[Expr; 3]>,
        /// With NOT.
        negated: bool,
    },
    /// \[NOT\] IN (list).
    In {
        /// Operand.
        operand: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
        /// With NOT.
        negated: bool,
    },
    /// \[NOT\] IN (query).
    InQuery {
        /// Operand.
        operand: Box<Expr>,
        /// The query.
        query: Box<Query>,
        /// With NOT.
        negated: bool,
    },
    /// \[NOT\] LIKE, REGEXP, RLIKE, SOUNDS LIKE, MEMBER OF: operand, pattern and, for LIKE, the escape.
    Match {
        /// Which of them.
        op: MatchOp,
        /// Operand, pattern, escape.
        operands: Vec<Expr>,
        /// With NOT.
        negated: bool,
    },
    /// expr op ANY | SOME | ALL (query).
    Quantified {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// The query.
        query: Box<Query>,
    },
    /// EXISTS (query).
    Exists(Box<Query>),
    /// (query) as a value.
    Subquery(Box<Query>),
    /// (a, b) or ROW(a, b).
    Row(Vec<Expr>),
    /// CASE.
    Case {
        /// The compared value of a simple CASE.
        operand: Option<Box<Expr>>,
        /// WHEN and THEN expressions.
        whens: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// A call of any function, those with a syntax of their own included (EXTRACT, MATCH … AGAINST, INTERVAL(…)).
    Function(Function),
    /// CAST(expr AS type), CONVERT(expr, type), CONVERT(expr USING charset), BINARY expr.
    Cast(Box<Expr>),
    /// expr COLLATE name.
    Collate(Box<Expr>),
    /// INTERVAL expr unit, as an operand of + and - or an argument.
    Interval(Box<Expr>),
    /// VALUES(col) of ON DUPLICATE KEY UPDATE.
    Values(Path),
    /// DEFAULT or DEFAULT(col).
    Default(Option<Path>),
    /// col->path, col->>path.
    JsonExtract(Path),
    /// `{d '…'}`-style ODBC escapes of any content.
    Odbc(Box<Expr>),
}

/// A function call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Name, possibly qualified with a database.
    pub name: Path,
    /// Arguments, with the expressions of ORDER BY and SEPARATOR inside the call.
    pub args: Vec<Expr>,
    /// `COUNT(*)`.
    pub star: bool,
    /// DISTINCT inside the call.
    pub distinct: bool,
    /// An OVER clause; empty if it is a name.
    pub over: Option<Window>,
}

/// What a window is made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY, and the bounds of a frame.
    pub rest: Vec<Expr>,
}

/// Kinds of literals; they are part of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// '…', "…" (without ANSI_QUOTES), N'…', _charset'…', and adjacent ones.
    String,
    /// x'…', 0x…, with or without introducer.
    Hex,
    /// b'…', 0b…, with or without introducer.
    Bit,
    /// An integer.
    Integer,
    /// A number with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// TRUE or FALSE.
    Boolean,
    /// NULL or \N.
    Null,
    /// DATE '…', TIME '…', TIMESTAMP '…'.
    Temporal,
}
