//! Random SELECTs over a table with protected columns, the same ones for the same seed: derived tables, common table
//! expressions, joins, set operations, scalar, IN and EXISTS sub-queries, nested at will, with conditions in three-valued logic
//! and expressions that hand on a column's value;
//! groups, different values and partitions.
//!
//! `{t}` is the table. Some statements do what envelopes cannot; those are refused, the others answer.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Id,
    Name,
    Code,
    Phone,
    Note,
    Truth,
}

/// A column in sight.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    holds: Holds,
}

/// Whether values are parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Literal,
    Param,
}

/// What values are for.
#[derive(Clone, Copy, Debug)]
enum Compared {
    /// Columns of all kinds.
    All(&'static [&'static str]),
    /// Protected columns alone.
    Protected(&'static [&'static str]),
}

/// Which joins a statement has so far. Both servers take it for granted that a comparison of rows is never TRUE if one of
/// its columns is NULL, and lose rows of outer joins by `(a.phone, b.id) NOT IN (('x', 2))`. What it is rewritten to has
/// the right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joins {
    Inner,
    Outer,
}

/// A statement with its parameters in order.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) sql: String,
    pub(crate) params: Vec<&'static str>,
}

/// An endless row of statements.
pub(crate) struct Generator {
    state: u64,
    aliases: usize,
    values: Values,
    compared: Compared,
    joins: Joins,
    params: Vec<&'static str>,
    /// Common table expressions of the statement: name, text, columns.
    tables: Vec<(String, Vec<Column>)>,
    with: Vec<String>,
}

/// Values of the protected columns, one that no row has, and none that a collation takes for another.
const VALUES: [&str; 6] = ["x", "y", "", "1", "30", "none"];

/// How deep queries are nested.
const OUTERMOST: usize = 3;

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            aliases: 0,
            values: Values::Literal,
            compared: Compared::All(&VALUES),
            joins: Joins::Inner,
            params: Vec::new(),
            tables: Vec::new(),
            with: Vec::new(),
        }
    }

    /// One that brings protected columns together with these values, and no other column with any of them.
    pub(crate) fn of_protected(seed: u64, values: &'static [&'static str]) -> Self {
        Self { compared: Compared::Protected(values), ..Self::new(seed) }
    }

    /// The next statement.
    pub(crate) fn next(&mut self, values: Values) -> Generated {
        (self.aliases, self.values, self.joins) = (0, values, Joins::Inner);
        self.params.clear();
        self.tables.clear();
        self.with.clear();
        // Common table expressions come first in the text, and so do their parameters.
        for _ in 0..self.below(3) {
            self.common_table();
        }
        let (query, _) = self.query(OUTERMOST);
        let with = if self.with.is_empty() { String::new() } else { format!("WITH {} ", self.with.join(", ")) };
        Generated { sql: format!("{with}{query}"), params: std::mem::take(&mut self.params) }
    }

    fn common_table(&mut self) {
        let name = self.alias("w");
        let (query, columns) = self.query(1);
        self.with.push(format!("{name} AS ({query})"));
        self.tables.push((name, columns));
    }

    /// SplitMix64.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn value(&mut self) -> String {
        let (Compared::All(values) | Compared::Protected(values)) = self.compared;
        let value = values[self.below(values.len())];
        match (self.values, self.below(8)) {
            (_, 0) => "NULL".to_owned(),
            (Values::Literal, _) => format!("'{value}'"),
            (Values::Param, _) => {
                self.params.push(value);
                "?".to_owned()
            }
        }
    }

    /// A query and its columns.
    fn query(&mut self, depth: usize) -> (String, Vec<Column>) {
        if depth > 0 && self.below(5) == 0 {
            let (mut sql, columns) = self.select(depth - 1, None);
            let wanted: Vec<Holds> = columns.iter().map(|column| column.holds).collect();
            for _ in 0..[1, 1, 1, 2][self.below(4)] {
                let operator = ["UNION ALL", "UNION ALL", "UNION", "UNION DISTINCT", "INTERSECT", "EXCEPT"];
                let operator = operator[self.below(6)];
                let (right, _) = self.select(depth - 1, Some(&wanted));
                let right = if self.below(4) == 0 { format!("({right})") } else { right };
                sql = format!("{sql} {operator} {right}");
            }
            // MySQL 9.7 joins with what INTERSECT and EXCEPT leave by an index that still has the rows that they do not: a
            // plain table's answers are wrong, or error 1030. It makes no index beneath a LIMIT.
            if depth < OUTERMOST && ["INTERSECT", "EXCEPT"].iter().any(|operator| sql.contains(operator)) {
                return (format!("SELECT * FROM ({sql}) {} LIMIT 1000", self.alias("l")), columns);
            }
            return (sql, columns);
        }
        self.select(depth, None)
    }

    /// A SELECT, of columns that hold what is wanted.
    fn select(&mut self, depth: usize, wanted: Option<&[Holds]>) -> (String, Vec<Column>) {
        // The select list stands before FROM in the text, and its parameters before FROM's: it is written last and its
        // parameters are moved to the front.
        let outer = std::mem::take(&mut self.params);
        let (from, columns) = self.from(depth);
        let filter =
            if self.below(3) > 0 { format!(" WHERE {}", self.condition(&columns, depth)) } else { String::new() };
        let behind = std::mem::take(&mut self.params);
        let mut listed = Vec::new();
        let mut items = Vec::new();
        if wanted.is_none() && self.below(8) == 0 {
            let (sql, listed) = self.grouped(&columns, &format!("{from}{filter}"));
            let before = std::mem::take(&mut self.params);
            self.params = [outer, before, behind].concat();
            return (sql, listed);
        }
        let distinct = if self.below(14) == 0 { "DISTINCT " } else { "" };
        let wanted: Vec<Option<Holds>> = match wanted {
            Some(wanted) => wanted.iter().copied().map(Some).collect(),
            None => vec![None; 1 + self.below(4)],
        };
        if depth > 0 && wanted.iter().all(Option::is_none) && self.below(8) == 0 {
            let sql = format!("SELECT * FROM {from}{filter}");
            self.params = [outer, behind].concat();
            let unqualified = |column: &Column| Column {
                name: column.name.rsplit('.').next().unwrap().to_owned(),
                holds: column.holds,
            };
            return (sql, columns.iter().map(unqualified).collect());
        }
        for holds in wanted {
            let (item, holds) = self.item(&columns, depth, holds);
            let name = self.alias("c");
            // Nobody names a column of the outermost query, so it may do without.
            let is_named = depth < OUTERMOST || self.below(4) > 0;
            items.push(if is_named { format!("{item} AS {name}") } else { item });
            listed.push(Column { name, holds });
        }
        let before = std::mem::take(&mut self.params);
        self.params = [outer, before, behind].concat();
        (format!("SELECT {distinct}{} FROM {from}{filter}", items.join(", ")), listed)
    }

    /// A SELECT of groups, or of how many different values there are.
    fn grouped(&mut self, columns: &[Column], from: &str) -> (String, Vec<Column>) {
        let key = columns[self.below(columns.len())].clone();
        let (name, count) = (self.alias("g"), self.alias("n"));
        let number = Column { name: count.clone(), holds: Holds::Id };
        let other = columns[self.below(columns.len())].name.clone();
        match self.below(5) {
            0 => (format!("SELECT COUNT(DISTINCT {}) AS {count} FROM {from}", key.name), vec![number]),
            1 => {
                let window = format!("COUNT(*) OVER (PARTITION BY {})", key.name);
                let shown = Column { name: name.clone(), holds: key.holds };
                (format!("SELECT {} AS {name}, {window} AS {count} FROM {from}", key.name), vec![shown, number])
            }
            _ => {
                let counted = ["COUNT(*)".to_owned(), format!("COUNT({other})"), format!("COUNT(DISTINCT {other})")];
                let counted = &counted[self.below(3)];
                let by = [key.name.as_str(), name.as_str(), "1"][self.below(3)];
                let having = ["", " HAVING COUNT(*) > 1"][self.below(2)];
                let rollup = ["", "", " WITH ROLLUP"][self.below(3)];
                let shown = format!("{} AS {name}, {counted} AS {count}", key.name);
                let sql = format!("SELECT {shown} FROM {from} GROUP BY {by}{rollup}{having}");
                (sql, vec![Column { name, holds: key.holds }, number])
            }
        }
    }

    fn item(&mut self, columns: &[Column], depth: usize, wanted: Option<Holds>) -> (String, Holds) {
        if wanted == Some(Holds::Truth) || (wanted.is_none() && self.below(6) == 0) {
            return (format!("({})", self.condition(columns, 0)), Holds::Truth);
        }
        if depth > 0 && self.below(5) == 0 {
            let holds = wanted.unwrap_or_else(|| self.stored());
            let (inner, id) = (self.alias("s"), self.id_of(columns));
            // A common column has no table to name, and inside this would be the inner table's: more rows than one.
            let id = if id == "id" { "1".to_owned() } else { id };
            return (format!("(SELECT {inner}.{} FROM {{t}} {inner} WHERE {inner}.id = {id})", named(holds)), holds);
        }
        let fitting: Vec<&Column> =
            columns.iter().filter(|column| wanted.is_none_or(|wanted| column.holds == wanted)).collect();
        // Another one where the other branch of a UNION has none like it: refused, if either is protected.
        let fitting = if fitting.is_empty() { columns.iter().collect() } else { fitting };
        let column = fitting[self.below(fitting.len())].clone();
        if self.below(4) > 0 {
            return (column.name, column.holds);
        }
        self.handed_on(columns, column)
    }

    /// An expression that hands on the value of a column, or something that the column could hold.
    fn handed_on(&mut self, columns: &[Column], column: Column) -> (String, Holds) {
        let (name, holds) = (column.name, column.holds);
        let alike: Vec<&Column> = columns.iter().filter(|other| other.holds == holds).collect();
        let other = alike[self.below(alike.len())].name.clone();
        let expr = match (holds, self.below(6)) {
            (Holds::Id | Holds::Truth, _) => format!("COALESCE({name}, 0)"),
            (_, 0) => format!("COALESCE({name}, {other})"),
            (_, 1) => format!("IFNULL({name}, {})", self.value()),
            (_, 2) => format!("COALESCE({name}, {}, {})", self.value(), self.value()),
            (_, 3) => {
                let condition = self.condition(columns, 0);
                format!("IF({condition}, {name}, {})", self.value())
            }
            (Holds::Note, _) | (_, 4) => {
                let condition = self.condition(columns, 0);
                let then = self.value();
                format!("CASE WHEN {condition} THEN {name} WHEN {other} IS NULL THEN {then} ELSE {other} END")
            }
            (_, _) => format!("NULLIF({name}, {})", self.value()),
        };
        (expr, holds)
    }

    fn stored(&mut self) -> Holds {
        let columns = self.table_columns();
        columns[self.below(columns.len())].holds
    }

    /// A FROM clause and the columns that it brings into sight.
    fn from(&mut self, depth: usize) -> (String, Vec<Column>) {
        let (left, mut columns) = self.source(depth);
        if depth == 0 || self.below(3) > 0 {
            return (left, columns);
        }
        let (right, others) = self.source(depth - 1);
        let kind = ["JOIN", "LEFT JOIN", "RIGHT JOIN"][self.below(3)];
        self.joins = if kind == "JOIN" { self.joins } else { Joins::Outer };
        if self.below(3) == 0
            && let Some(common) = self.common(&columns, &others)
        {
            let from = format!("{left} {kind} {right} USING ({})", common.name);
            columns.extend(others);
            columns.push(common);
            return (from, columns);
        }
        let (one, other) = (self.id_of(&columns), self.id_of(&others));
        columns.extend(others);
        let also = if self.below(3) == 0 { format!(" AND {}", self.condition(&columns, 0)) } else { String::new() };
        (format!("{left} {kind} {right} ON {one} = {other}{also}"), columns)
    }

    /// A column that both operands of a join have once, by its bare name.
    fn common(&mut self, left: &[Column], right: &[Column]) -> Option<Column> {
        let bare = |column: &Column| column.name.rsplit('.').next().unwrap().to_owned();
        let count = |columns: &[Column], name: &str| columns.iter().filter(|column| bare(column) == name).count();
        let is_common = |column: &&Column| count(left, &bare(column)) == 1 && count(right, &bare(column)) == 1;
        let common: Vec<&Column> = left.iter().filter(is_common).collect();
        if common.is_empty() {
            return None;
        }
        let column = common[self.below(common.len())];
        Some(Column { name: bare(column), holds: column.holds })
    }

    fn source(&mut self, depth: usize) -> (String, Vec<Column>) {
        let alias = self.alias("t");
        let qualified = |columns: Vec<Column>| -> Vec<Column> {
            let name = |column: &Column| format!("{alias}.{}", column.name);
            columns.iter().map(|column| Column { name: name(column), holds: column.holds }).collect()
        };
        if !self.tables.is_empty() && self.below(2) == 0 {
            let at = self.below(self.tables.len());
            let (name, columns) = self.tables[at].clone();
            return (format!("{name} {alias}"), qualified(columns));
        }
        if depth > 0 && self.below(2) == 0 {
            let (query, columns) = self.query(depth - 1);
            return (format!("({query}) {alias}"), qualified(columns));
        }
        (format!("{{t}} {alias}"), qualified(self.table_columns()))
    }

    /// The columns of the table.
    fn table_columns(&self) -> Vec<Column> {
        let columns: &[Holds] = match self.compared {
            Compared::All(_) => &[Holds::Id, Holds::Name, Holds::Code, Holds::Phone, Holds::Note],
            Compared::Protected(_) => &[Holds::Id, Holds::Code, Holds::Phone, Holds::Note],
        };
        columns.iter().map(|holds| Column { name: named(*holds).to_owned(), holds: *holds }).collect()
    }

    /// A column with ids, or a number.
    fn id_of(&mut self, columns: &[Column]) -> String {
        let ids: Vec<&Column> = columns.iter().filter(|column| column.holds == Holds::Id).collect();
        if ids.is_empty() { "1".to_owned() } else { ids[self.below(ids.len())].name.clone() }
    }

    fn condition(&mut self, columns: &[Column], depth: usize) -> String {
        match self.below(9) {
            0 => format!("NOT ({})", self.condition(columns, depth)),
            1 | 2 => {
                let connective = ["AND", "OR", "XOR"][self.below(3)];
                let left = self.condition(columns, depth);
                format!("({left}) {connective} ({})", self.condition(columns, depth))
            }
            3 if depth > 0 => {
                let negated = ["", "NOT "][self.below(2)];
                let id = self.id_of(columns);
                format!("{id} {negated}IN ({})", self.ids(columns, depth - 1))
            }
            4 if depth > 0 => format!("EXISTS ({})", self.ids(columns, depth - 1)),
            5 if self.below(2) == 0 => format!("{} = 1", self.simple_case(columns)),
            5 => format!("CASE WHEN {} THEN 1 ELSE 0 END = 1", self.comparison(columns)),
            // Not of rows: MariaDB takes it for granted that they are never UNKNOWN.
            6 => format!(
                "({}) IS {}",
                self.value_comparison(columns),
                ["TRUE", "NOT TRUE", "UNKNOWN", "NOT FALSE"][self.below(4)]
            ),
            _ => self.comparison(columns),
        }
    }

    /// CASE of a column by values.
    fn simple_case(&mut self, columns: &[Column]) -> String {
        let texts = |column: &&Column| matches!(column.holds, Holds::Name | Holds::Code | Holds::Phone);
        let texts: Vec<&Column> = columns.iter().filter(texts).collect();
        if texts.is_empty() {
            return format!("CASE {} WHEN 1 THEN 1 WHEN 2 THEN 0 END", self.id_of(columns));
        }
        let name = texts[self.below(texts.len())].name.clone();
        let (one, two) = (self.value(), self.value());
        format!("CASE {name} WHEN {one} THEN 1 WHEN {two} THEN 0 ELSE {} END", self.below(2))
    }

    /// A sub-query of ids that may name columns outside.
    fn ids(&mut self, outside: &[Column], depth: usize) -> String {
        let alias = self.alias("e");
        let (source, columns) = if depth > 0 && self.below(3) == 0 {
            let (query, columns) = self.query(depth - 1);
            (format!("({query}) {alias}"), columns)
        } else {
            let columns = [Holds::Id, Holds::Code, Holds::Phone];
            (format!("{{t}} {alias}"), columns.map(|holds| Column { name: named(holds).to_owned(), holds }).to_vec())
        };
        let mut seen: Vec<Column> = columns
            .iter()
            .map(|column| Column { name: format!("{alias}.{}", column.name), holds: column.holds })
            .collect();
        let id = self.id_of(&seen);
        seen.extend(outside.iter().cloned());
        format!("SELECT {id} FROM {source} WHERE {}", self.condition(&seen, depth))
    }

    fn comparison(&mut self, columns: &[Column]) -> String {
        match (self.below(10), self.joins, self.compared) {
            (0, Joins::Inner, Compared::All(_)) => self.row_comparison(columns),
            (_, _, _) => self.value_comparison(columns),
        }
    }

    fn value_comparison(&mut self, columns: &[Column]) -> String {
        let column = columns[self.below(columns.len())].clone();
        let name = column.name;
        match column.holds {
            Holds::Id => format!("{name} {} {}", ["=", "<>", "<", "<=>"][self.below(4)], self.below(6)),
            Holds::Truth => format!("{name} {} 1", ["=", "<>"][self.below(2)]),
            Holds::Note => format!("{name} IS {}NULL", ["", "NOT "][self.below(2)]),
            Holds::Name | Holds::Code | Holds::Phone if self.below(6) == 0 => {
                // Another column, most often of the same kind: two kinds have no index in common.
                let alike: Vec<&Column> = columns.iter().filter(|other| other.holds == column.holds).collect();
                let other = alike[self.below(alike.len())].name.clone();
                // MySQL 9.7 joins NULL with NULL by USING where `<=>` compares what is joined:
                // `SELECT a.id FROM t a JOIN t b USING (c) WHERE a.c <=> b.c`.
                let joined = columns.iter().any(|column| !column.name.contains('.'));
                format!("{name} {} {other}", ["=", "<>", "<=>"][self.below(if joined { 2 } else { 3 })])
            }
            Holds::Name | Holds::Code | Holds::Phone => self.text_comparison(&name),
        }
    }

    /// A comparison of a row constructor with a row of values, or with several.
    fn row_comparison(&mut self, columns: &[Column]) -> String {
        let name = columns[self.below(columns.len())].name.clone();
        let other = columns[self.below(columns.len())].clone();
        let number = other.holds == Holds::Id && self.below(2) == 0;
        let row = |this: &mut Self| {
            let one = this.value();
            let two = if number { this.below(6).to_string() } else { this.value() };
            format!("({one}, {two})")
        };
        let columns = format!("({name}, {})", other.name);
        match self.below(5) {
            0 => format!("{} = {columns}", row(self)),
            1 | 2 => format!("{columns} {} {}", ["=", "<>", "<=>"][self.below(3)], row(self)),
            _ => {
                let rows: Vec<String> = (0..1 + self.below(3)).map(|_| row(self)).collect();
                format!("{columns} {}IN ({})", ["", "NOT "][self.below(2)], rows.join(", "))
            }
        }
    }

    fn text_comparison(&mut self, name: &str) -> String {
        match self.below(8) {
            0 => format!("{name} IS {}NULL", ["", "NOT "][self.below(2)]),
            1 | 2 => {
                let negated = ["", "NOT "][self.below(2)];
                let values: Vec<String> = (0..1 + self.below(3)).map(|_| self.value()).collect();
                format!("{name} {negated}IN ({})", values.join(", "))
            }
            3 => format!("{} = {name}", self.value()),
            5 => {
                // Most often a column of the same kind.
                let inner = self.alias("q");
                let kind = name.rsplit('.').next().filter(|kind| ["name", "code", "phone"].contains(kind));
                let id = self.below(6);
                let operator = ["IN", "NOT IN", "= ANY", "<> ALL"][self.below(4)];
                let column = kind.unwrap_or("code");
                format!("{name} {operator} (SELECT {inner}.{column} FROM {{t}} {inner} WHERE {inner}.id <> {id})")
            }
            4 if self.below(3) == 0 => format!("{name} {}LIKE {}", ["", "NOT "][self.below(2)], self.value()),
            _ => format!("{name} {} {}", ["=", "<>", "<=>"][self.below(3)], self.value()),
        }
    }
}

fn named(holds: Holds) -> &'static str {
    match holds {
        Holds::Id | Holds::Truth => "id",
        Holds::Name => "name",
        Holds::Code => "code",
        Holds::Phone => "phone",
        Holds::Note => "note",
    }
}
