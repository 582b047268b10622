//! The words that the grammar knows. Whether one of them may also be a name is the reserved words' matter.

/// Longest keyword of the list.
const KEYWORD_OCTETS_MAX: usize = 19;

macro_rules! keywords {
    ($($name:ident = $text:literal,)*) => {
        /// A word of the grammar.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword {
            /// No word, or one that the grammar does not know.
            None,
            $(#[doc = $text] $name,)*
        }

        /// Sorted, for binary search.
        const KEYWORDS: &[(&str, Keyword)] = &[$(($text, Keyword::$name),)*];
    };
}

keywords! {
    AddDate = "ADDDATE",
    Against = "AGAINST",
    All = "ALL",
    Analyze = "ANALYZE",
    And = "AND",
    Any = "ANY",
    Array = "ARRAY",
    As = "AS",
    Asc = "ASC",
    At = "AT",
    Between = "BETWEEN",
    Binary = "BINARY",
    Boolean = "BOOLEAN",
    Both = "BOTH",
    By = "BY",
    Case = "CASE",
    Cast = "CAST",
    Char = "CHAR",
    Character = "CHARACTER",
    Charset = "CHARSET",
    Collate = "COLLATE",
    Columns = "COLUMNS",
    ColumnAdd = "COLUMN_ADD",
    ColumnCreate = "COLUMN_CREATE",
    ColumnGet = "COLUMN_GET",
    Convert = "CONVERT",
    Cross = "CROSS",
    Current = "CURRENT",
    CurrentDate = "CURRENT_DATE",
    CurrentRole = "CURRENT_ROLE",
    CurrentTime = "CURRENT_TIME",
    CurrentTimestamp = "CURRENT_TIMESTAMP",
    CurrentUser = "CURRENT_USER",
    Database = "DATABASE",
    Date = "DATE",
    Datetime = "DATETIME",
    DateAdd = "DATE_ADD",
    DateSub = "DATE_SUB",
    Default = "DEFAULT",
    Delayed = "DELAYED",
    Delete = "DELETE",
    Desc = "DESC",
    Describe = "DESCRIBE",
    Distinct = "DISTINCT",
    Distinctrow = "DISTINCTROW",
    Div = "DIV",
    Dual = "DUAL",
    Dumpfile = "DUMPFILE",
    Duplicate = "DUPLICATE",
    Else = "ELSE",
    Empty = "EMPTY",
    End = "END",
    Error = "ERROR",
    Escape = "ESCAPE",
    Examined = "EXAMINED",
    Except = "EXCEPT",
    Exclude = "EXCLUDE",
    Exists = "EXISTS",
    Expansion = "EXPANSION",
    Explain = "EXPLAIN",
    Extended = "EXTENDED",
    Extract = "EXTRACT",
    False = "FALSE",
    Fetch = "FETCH",
    Fields = "FIELDS",
    First = "FIRST",
    Following = "FOLLOWING",
    For = "FOR",
    Force = "FORCE",
    Format = "FORMAT",
    From = "FROM",
    GetFormat = "GET_FORMAT",
    Group = "GROUP",
    Groups = "GROUPS",
    Having = "HAVING",
    HighPriority = "HIGH_PRIORITY",
    Ignore = "IGNORE",
    In = "IN",
    Index = "INDEX",
    Inner = "INNER",
    Insert = "INSERT",
    Intersect = "INTERSECT",
    Interval = "INTERVAL",
    Into = "INTO",
    Is = "IS",
    Join = "JOIN",
    JsonTable = "JSON_TABLE",
    JsonValue = "JSON_VALUE",
    Key = "KEY",
    Language = "LANGUAGE",
    Last = "LAST",
    Lateral = "LATERAL",
    Leading = "LEADING",
    Left = "LEFT",
    Level = "LEVEL",
    Like = "LIKE",
    Limit = "LIMIT",
    Lines = "LINES",
    Local = "LOCAL",
    Localtime = "LOCALTIME",
    Localtimestamp = "LOCALTIMESTAMP",
    Lock = "LOCK",
    Locked = "LOCKED",
    LowPriority = "LOW_PRIORITY",
    Match = "MATCH",
    Member = "MEMBER",
    Mid = "MID",
    Mod = "MOD",
    Mode = "MODE",
    Natural = "NATURAL",
    Nested = "NESTED",
    Next = "NEXT",
    Not = "NOT",
    Nowait = "NOWAIT",
    Null = "NULL",
    Nulls = "NULLS",
    Of = "OF",
    Offset = "OFFSET",
    Oj = "OJ",
    On = "ON",
    Only = "ONLY",
    Or = "OR",
    Order = "ORDER",
    Ordinality = "ORDINALITY",
    Others = "OTHERS",
    Outer = "OUTER",
    Outfile = "OUTFILE",
    Over = "OVER",
    Partition = "PARTITION",
    Partitions = "PARTITIONS",
    Path = "PATH",
    Position = "POSITION",
    Preceding = "PRECEDING",
    Previous = "PREVIOUS",
    Primary = "PRIMARY",
    Qualify = "QUALIFY",
    Query = "QUERY",
    Quick = "QUICK",
    Range = "RANGE",
    Recursive = "RECURSIVE",
    Regexp = "REGEXP",
    Replace = "REPLACE",
    Respect = "RESPECT",
    Returning = "RETURNING",
    Reverse = "REVERSE",
    Right = "RIGHT",
    Rlike = "RLIKE",
    Rollup = "ROLLUP",
    Row = "ROW",
    Rows = "ROWS",
    Schema = "SCHEMA",
    Select = "SELECT",
    Separator = "SEPARATOR",
    Set = "SET",
    Share = "SHARE",
    Skip = "SKIP",
    Some = "SOME",
    Sounds = "SOUNDS",
    SqlBigResult = "SQL_BIG_RESULT",
    SqlBufferResult = "SQL_BUFFER_RESULT",
    SqlCache = "SQL_CACHE",
    SqlCalcFoundRows = "SQL_CALC_FOUND_ROWS",
    SqlNoCache = "SQL_NO_CACHE",
    SqlSmallResult = "SQL_SMALL_RESULT",
    StraightJoin = "STRAIGHT_JOIN",
    SubDate = "SUBDATE",
    Substr = "SUBSTR",
    Substring = "SUBSTRING",
    SystemTime = "SYSTEM_TIME",
    Table = "TABLE",
    Then = "THEN",
    Ties = "TIES",
    Time = "TIME",
    Timestamp = "TIMESTAMP",
    TimestampAdd = "TIMESTAMPADD",
    TimestampDiff = "TIMESTAMPDIFF",
    To = "TO",
    Trailing = "TRAILING",
    Transaction = "TRANSACTION",
    Trim = "TRIM",
    True = "TRUE",
    Unbounded = "UNBOUNDED",
    Union = "UNION",
    Unknown = "UNKNOWN",
    Update = "UPDATE",
    Use = "USE",
    Using = "USING",
    UtcDate = "UTC_DATE",
    UtcTime = "UTC_TIME",
    UtcTimestamp = "UTC_TIMESTAMP",
    Value = "VALUE",
    Values = "VALUES",
    Wait = "WAIT",
    WeightString = "WEIGHT_STRING",
    When = "WHEN",
    Where = "WHERE",
    Window = "WINDOW",
    With = "WITH",
    Within = "WITHIN",
    Xor = "XOR",
    Zone = "ZONE",
}

/// Looks a word up, in any case.
pub(super) fn keyword(word: &[u8]) -> Keyword {
    let mut upper = [0_u8; KEYWORD_OCTETS_MAX];
    let Some(upper) = upper.get_mut(..word.len()) else { return Keyword::None };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    KEYWORDS
        .binary_search_by(|(text, _)| text.as_bytes().cmp(upper))
        .ok()
        .and_then(|at| KEYWORDS.get(at))
        .map_or(Keyword::None, |&(_, keyword)| keyword)
}

/// Units of INTERVAL, EXTRACT and the TIMESTAMP functions.
const UNITS: [&str; 28] = [
    "MICROSECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "SECOND_MICROSECOND",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "HOUR_MICROSECOND",
    "HOUR_SECOND",
    "HOUR_MINUTE",
    "DAY_MICROSECOND",
    "DAY_SECOND",
    "DAY_MINUTE",
    "DAY_HOUR",
    "YEAR_MONTH",
    "SQL_TSI_SECOND",
    "SQL_TSI_MINUTE",
    "SQL_TSI_HOUR",
    "SQL_TSI_DAY",
    "SQL_TSI_WEEK",
    "SQL_TSI_MONTH",
    "SQL_TSI_QUARTER",
    "SQL_TSI_YEAR",
];

/// Whether the word is a unit of time.
pub(super) fn is_unit(word: &[u8]) -> bool {
    UNITS.iter().any(|unit| unit.as_bytes().eq_ignore_ascii_case(word))
}

/// Reserved words that are functions when a parenthesis follows.
const RESERVED_FUNCTIONS: [&str; 25] = [
    "IF",
    "LEFT",
    "RIGHT",
    "REPLACE",
    "INSERT",
    "REPEAT",
    "MOD",
    "DATABASE",
    "SCHEMA",
    "GROUPING",
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "CUME_DIST",
    "PERCENT_RANK",
    "NTILE",
    "FIRST_VALUE",
    "LAST_VALUE",
    "NTH_VALUE",
    "LAG",
    "LEAD",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
    "CHARSET",
];

/// Whether a reserved word is a function when a parenthesis follows.
pub(super) fn is_reserved_function(word: &[u8]) -> bool {
    RESERVED_FUNCTIONS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Functions that are built-in only when the parenthesis touches their name; otherwise the name means a stored function
/// (SQL mode IGNORE_SPACE lifts that).
const TOUCHING_FUNCTIONS: [&str; 34] = [
    "ADDDATE",
    "BIT_AND",
    "BIT_OR",
    "BIT_XOR",
    "CAST",
    "COUNT",
    "CURDATE",
    "CURTIME",
    "DATE_ADD",
    "DATE_SUB",
    "EXTRACT",
    "GROUP_CONCAT",
    "JSON_ARRAYAGG",
    "JSON_OBJECTAGG",
    "MAX",
    "MID",
    "MIN",
    "NOW",
    "POSITION",
    "SESSION_USER",
    "STD",
    "STDDEV",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "ST_COLLECT",
    "SUBDATE",
    "SUBSTR",
    "SUBSTRING",
    "SUM",
    "SYSDATE",
    "SYSTEM_USER",
    "TRIM",
    "VARIANCE",
    "VAR_POP",
];

/// Whether the function's parenthesis has to touch its name.
pub(super) fn must_touch(word: &[u8]) -> bool {
    TOUCHING_FUNCTIONS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
        || word.eq_ignore_ascii_case(b"VAR_SAMP")
        || word.eq_ignore_ascii_case(b"JSON_DUALITY_OBJECT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case() {
        assert!(KEYWORDS.is_sorted_by_key(|(text, _)| *text));
        for (text, expected) in KEYWORDS {
            assert_eq!(keyword(text.to_lowercase().as_bytes()), *expected, "{text}");
        }
        assert_eq!(keyword(b"phone"), Keyword::None);
        assert_eq!(keyword(b"a_word_longer_than_any_keyword"), Keyword::None);
    }
}
