//! What cannot be done with protected data in this version, in the words that clients see.

use crate::sql::tree::MatchOp;

/// A construct with the advice that follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Construct {
    /// Beginning of the sentence.
    pub(super) name: &'static str,
    /// End of the sentence.
    pub(super) remedy: &'static str,
}

const fn construct(name: &'static str, remedy: &'static str) -> Construct {
    Construct { name, remedy }
}

const SELECT_ALONE: &str = "select the column by itself and compute in the application";
const INSERT_ROWS: &str = "read the rows and insert them as literals or parameters";
const DECLARE_INDEX: &str = "declare such an index for the column in the policy";
const COMPARE_WITH_VALUE: &str = "compare with a whole value, a string literal or a parameter, by =, <>, <=> or IN";

pub(super) const ARITHMETIC: Construct = construct("an arithmetic or bit operator", SELECT_ALONE);
pub(super) const ASSIGN: Construct = construct("assignment to a user variable", SELECT_ALONE);
pub(super) const BETWEEN: Construct = construct("BETWEEN", COMPARE_WITH_VALUE);
pub(super) const BOOLEAN: Construct = construct("use as a truth value", COMPARE_WITH_VALUE);
pub(super) const CASE: Construct = construct("CASE", SELECT_ALONE);
pub(super) const CAST: Construct = construct("CAST, CONVERT, BINARY or COLLATE", SELECT_ALONE);
pub(super) const COMPARE_EXPRESSION: Construct =
    construct("comparison with anything but a string literal, a parameter or NULL", COMPARE_WITH_VALUE);
pub(super) const COMPARE_COLUMNS: Construct = construct(
    "comparison with a column of another index domain",
    "give both columns one keyset and one index of at least 8 bytes in the policy, or compare with a value",
);
pub(super) const COMPARE_PLACE: Construct = construct(
    "comparison in this place",
    "compare in WHERE, ON or HAVING, or in a column of the select list that has an alias",
);
pub(super) const COPY: Construct =
    construct("copying its value", "read the value and write it back as a literal or a parameter");
pub(super) const DEFAULT: Construct = construct("DEFAULT", "write NULL or the value itself");
pub(super) const DISTINCT: Construct = construct("DISTINCT without a blind index of at least 8 bytes", DECLARE_INDEX);
pub(super) const DISTINCT_EXPRESSION: Construct =
    construct("DISTINCT over an expression or a star", "name each column by itself in the select list");
pub(super) const DISTINCT_GROUPS: Construct =
    construct("DISTINCT together with GROUP BY, HAVING or an aggregate function", "use one of them alone");
pub(super) const DISTINCT_OUTER: Construct = construct(
    "DISTINCT over a nested query beside an outer join on MariaDB",
    "write GROUP BY and the columns instead of DISTINCT",
);
pub(super) const DUPLICATE_NAMES: Construct = construct(
    "ON DUPLICATE KEY UPDATE behind a query by anything but literals, parameters and VALUES()",
    "insert the rows as literals or parameters",
);
pub(super) const EMPTY_IS_NULL: Construct = construct(
    "a value under sql_mode EMPTY_STRING_IS_NULL",
    "take that out of sql_mode, and write NULL where it is meant",
);
pub(super) const FUNCTION: Construct = construct("a function call", SELECT_ALONE);
pub(super) const GROUP_BY: Construct = construct("GROUP BY without a blind index of at least 8 bytes", DECLARE_INDEX);
pub(super) const GROUP_EXPRESSION: Construct = construct("GROUP BY an expression", "group by the column itself");
pub(super) const GROUP_STAR: Construct =
    construct("a star beside GROUP BY", "name each column by itself in the select list");
pub(super) const GROUPED: Construct = construct(
    "use in an expression of the groups that it makes",
    "select the column by itself, compare it in WHERE, or in HAVING by the name that it has in the select list",
);
pub(super) const INSERT_ELSEWHERE: Construct = construct("INSERT … SELECT into another column", INSERT_ROWS);
pub(super) const INSERT_QUERY: Construct =
    construct("INSERT … SELECT of anything but the same column, string literals, parameters and NULL", INSERT_ROWS);
pub(super) const INSERT_VALUE: Construct =
    construct("a value other than a string literal, a parameter or NULL", "write the value as a string");
pub(super) const INTO: Construct = construct("SELECT … INTO", "select the column without INTO");
pub(super) const JOIN_COLUMNS: Construct =
    construct("NATURAL JOIN or USING in such a query", "write ON, and name each column with its table");
pub(super) const JSON: Construct = construct("a JSON operator", SELECT_ALONE);
pub(super) const MIXTURE: Construct = construct(
    "an expression that can be something else than the column",
    "let all that can come out of it be the same column, string literals, parameters and NULL",
);
pub(super) const BOUND_ALONE: Construct = construct(
    "showing values that are bound to their rows anywhere but in the select list of one SELECT over the table itself",
    "select the column itself in the outermost SELECT, without DISTINCT, GROUP BY or a nested query around the table",
);
pub(super) const MULTI_TABLE: Construct = construct(
    "an UPDATE of several tables, where values have a key for each person or are bound to their rows",
    "change one table at a time, or leave the column out",
);
pub(super) const NO_INDEX: Construct =
    construct("comparison without a blind index", "declare an index for the column in the policy");
pub(super) const NULL_SAFE_LISTED: Construct =
    construct("<=> in the select list", "compare by = there, or by <=> in WHERE, ON or HAVING");
pub(super) const ORDER_BY: Construct = construct(
    "ORDER BY",
    "envelopes have no order: give the column sort = \"proxy\" in the policy and order the outermost query, or order by \
     an unprotected column",
);
pub(super) const ORDER_CHANGE: Construct =
    construct("ORDER BY in UPDATE or DELETE", "envelopes have no order: order by an unprotected column");
pub(super) const ORDER_FETCH: Construct =
    construct("ORDER BY in the proxy with this form of LIMIT", "write LIMIT with integers or parameters");
pub(super) const ORDER_HIDDEN: Construct = construct(
    "ORDER BY what such a query does not show",
    "name the column in the select list, and order by it before all else",
);
pub(super) const ORDER_MIXED: Construct = construct(
    "ORDER BY behind this expression",
    "order by the protected column first, or put a column or a comparison of columns before it, by names that the select \
     list gives to nothing else",
);
pub(super) const ORDERING: Construct = construct("comparison by <, <=, > or >=", COMPARE_WITH_VALUE);
pub(super) const NAME: Construct = construct(
    "a column's name that the server changes",
    "begin it with a letter, without backslashes, and keep it short",
);
pub(super) const OVERLAP: Construct = construct("this combination of clauses", "split the statement");
pub(super) const PARTITION: Construct =
    construct("PARTITION BY without a blind index of at least 8 bytes", DECLARE_INDEX);
pub(super) const PATTERN_WILDCARD: Construct = construct("LIKE with a wildcard or a backslash", COMPARE_WITH_VALUE);
pub(super) const PAST: Construct =
    construct("FOR SYSTEM_TIME of its table, whose past rows keep former forms and indexes,", "read the rows of now");
pub(super) const PERIOD: Construct =
    construct("use in FOR SYSTEM_TIME", "write the time as a literal, a parameter or a user variable");
pub(super) const RECURSIVE: Construct = construct(
    "a recursive common table expression that names another one before it is defined, or changes what its columns carry",
    "order the expressions, and select the same columns in each part",
);
pub(super) const ROLLUP: Construct = construct("WITH ROLLUP on MariaDB", "leave it out, and add up in the application");
pub(super) const ROUTINE: Construct = construct("a stored function that can reach it", "query the base table");
pub(super) const ROW: Construct = construct(
    "such a comparison of rows",
    "compare (column, column) by =, <>, <=> or IN with rows of as many string literals and parameters",
);
pub(super) const ROW_KINDS: Construct = construct(
    "IN with rows that hold literals of several kinds for another column",
    "write the values of each column alike: strings, integers or parameters",
);
pub(super) const ROW_LENGTH: Construct =
    construct("a row with another number of values than columns", "give each column one value");
pub(super) const SET_COUNTING: Construct = construct(
    "INTERSECT ALL or EXCEPT ALL",
    "leave ALL out, or count the rows by GROUP BY in each SELECT and compare those",
);
pub(super) const SET_INDEX: Construct =
    construct("UNION without ALL, INTERSECT or EXCEPT without a blind index of at least 8 bytes", DECLARE_INDEX);
pub(super) const SET_LOCKING: Construct = construct(
    "UNION without ALL, INTERSECT or EXCEPT beside FOR UPDATE, FOR SHARE or options of SELECT that hold for the whole result",
    "leave them out, or lock the rows by a SELECT of their own",
);
pub(super) const SET_OUTWARD: Construct = construct(
    "UNION without ALL, INTERSECT or EXCEPT in a nested query that names columns of the query around it",
    "name nothing from outside in it: join its rows with the tables of the query around it",
);
pub(super) const SET_RECURSIVE: Construct = construct(
    "UNION without ALL in a recursive common table expression",
    "use UNION ALL there, and SELECT DISTINCT from it",
);
pub(super) const STAR: Construct =
    construct("a star over another table in a query around it", "name each column by itself in the select list");
pub(super) const SUBQUERY: Construct = construct("output of a subquery", "select the column in the outermost query");
pub(super) const TABLE_FUNCTION: Construct =
    construct("JSON_TABLE", "read the column, and take the document apart in the application");
pub(super) const TRUTH_TEST: Construct = construct("IS TRUE, IS FALSE or IS UNKNOWN", COMPARE_WITH_VALUE);
pub(super) const UNARY: Construct = construct("a prefix operator", SELECT_ALONE);
pub(super) const UNION: Construct =
    construct("UNION with anything but the same column", "select the same protected column in each SELECT");
pub(super) const UNNAMED: Construct = construct(
    "a comparison, a constant, DISTINCT or UNION in a column without an alias of a nested select list",
    "name the column with AS: without, the server names it by its rewritten text",
);
pub(super) const VALUES_ROW: Construct = construct("use in VALUES ROW", SELECT_ALONE);
pub(super) const VIEW_UNREAD: Construct = construct(
    "a view whose text cannot be read",
    "query the base table, or let the control account SELECT from the view",
);
pub(super) const VIEW_WRITTEN: Construct =
    construct("a view in a statement that writes", "name the base table instead");
pub(super) const VIEW_COMPARISON: Construct =
    construct("comparison inside a view", "leave the comparison to the statement, or query the base table");
pub(super) const WINDOW: Construct = construct("a window function", SELECT_ALONE);
pub(super) const SELECT_EXPRESSION: Construct = construct("use inside an expression", SELECT_ALONE);
pub(super) const LIMIT: Construct = construct("LIMIT", "write a number or a parameter");

/// What is refused of a match.
pub(super) const fn pattern(op: MatchOp) -> Construct {
    let name = match op {
        MatchOp::Like => "LIKE with ESCAPE, or with a pattern that is no string literal and no parameter,",
        MatchOp::Regexp => "REGEXP",
        MatchOp::SoundsLike => "SOUNDS LIKE",
        MatchOp::MemberOf => "MEMBER OF",
    };
    construct(name, COMPARE_WITH_VALUE)
}

/// What is refused where writes must state a value of the row.
pub(super) struct Stating {
    pub(super) change: Construct,
    pub(super) constant: Construct,
    pub(super) duplicate: Construct,
    pub(super) mixed: Construct,
    pub(super) unfit: Construct,
    pub(super) unknown: Construct,
    pub(super) filter: Construct,
}

/// Whose the row is.
pub(super) const SUBJECT: Stating = Stating {
    change: construct(
        "a change of the column that says whose the row is",
        "read the row, insert it for the other person and delete it here",
    ),
    constant: construct(
        "a constant beside values that have a key for each person",
        "select the column by itself and put the constant in the application",
    ),
    duplicate: construct(
        "ON DUPLICATE KEY UPDATE, which may meet another person's row",
        "run an INSERT, and an UPDATE that names the person in WHERE if the row is there",
    ),
    mixed: construct(
        "a parameter beside a literal, one being the value and the other saying whose it is",
        "bind both as parameters, or write both as literals",
    ),
    unfit: construct(
        "a value whose owner the table does not say for certain",
        "make the column that policy names as `subject` fit for it: `candado check` says what is wrong",
    ),
    unknown: construct(
        "an INSERT that does not say whose the row is",
        "give the column that policy names as `subject` in each row, as a literal or a parameter that is not NULL",
    ),
    filter: construct(
        "an UPDATE that does not say whose the rows are",
        "add AND and the column that policy names as `subject` = a literal or a parameter to WHERE",
    ),
};

/// What its envelopes are bound to.
pub(super) const BIND: Stating = Stating {
    change: construct(
        "a change of the column that its values are bound to",
        "read the row, insert it with the other value and delete it here",
    ),
    constant: construct(
        "a constant beside values that are bound to their rows",
        "select the column by itself and put the constant in the application",
    ),
    duplicate: construct(
        "ON DUPLICATE KEY UPDATE, which may meet another row than the one that its values are bound to",
        "run an INSERT, and an UPDATE that names the row in WHERE if it is there",
    ),
    mixed: construct(
        "a parameter beside a literal, one being the value and the other what it is bound to",
        "bind both as parameters, or write both as literals",
    ),
    unfit: construct(
        "a value that is bound to a column which cannot be relied on",
        "make the column that policy names as `bind` fit for it: `candado check` says what is wrong",
    ),
    unknown: construct(
        "an INSERT that does not say what the row's values are bound to",
        "give the column that policy names as `bind` in each row, as a literal or a parameter that is not NULL",
    ),
    filter: construct(
        "an UPDATE that does not say which rows are meant",
        "add AND and the column that policy names as `bind` = a literal or a parameter to WHERE",
    ),
};
