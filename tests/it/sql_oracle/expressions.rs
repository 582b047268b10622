//! Random operator expressions, the same ones for the same seed. They are operators and operands in any order that has
//! the outward form of an expression; whether the servers' grammars take them is the servers' affair.

const INFIX: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "DIV",
    "MOD",
    "^",
    "|",
    "&",
    "<<",
    ">>",
    "=",
    "<=>",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "XOR",
    "&&",
    "||",
    "LIKE",
    "NOT LIKE",
    "REGEXP",
    "RLIKE",
    "NOT REGEXP",
    "SOUNDS LIKE",
];
/// Two signs never touch: `--` would open a comment, and `!!` is refused on purpose.
const PREFIX: &[&str] = &["- ", "+ ", "~ ", "! ", "NOT ", "BINARY "];
const TESTS: &[&str] = &["IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT FALSE", "IS UNKNOWN"];
/// Literals of all kinds, and columns of [`TABLE`].
const OPERANDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "5",
    "7",
    "'1'",
    "'a'",
    "'ab'",
    "'2'",
    "NULL",
    "TRUE",
    "FALSE",
    "1.5",
    "1e1",
    "x'41'",
    "_utf8mb4'a'",
    "a",
    "b",
    "c",
    "s",
    "d",
];

/// Columns whose values make most operators tell readings apart.
pub(super) const TABLE: &str = "CREATE TABLE t (a INT, b INT, c DECIMAL(5, 2), s VARCHAR(10), d DATE)
    CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
/// Rows of [`TABLE`].
pub(super) const ROWS: &str = "INSERT INTO t VALUES (1, 0, 2.5, 'a', '2020-01-31'), (3, NULL, -1, '2b', NULL),
    (0, 2, 0, '', '2024-02-28')";

/// An endless row of statements that select one expression from the table `t`.
pub(super) struct Expressions {
    state: u64,
}

impl Expressions {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next_statement(&mut self) -> String {
        format!("SELECT {} AS v FROM t", self.expression(2))
    }

    /// Operands with operators between and behind them.
    fn expression(&mut self, depth: u32) -> String {
        let mut text = self.prefixed(depth);
        for _ in 0..self.pick(&[0, 1, 1, 2, 2, 3, 4]) {
            text += " ";
            text += &match self.below(100) {
                0..8 => self.pick(TESTS).to_owned(),
                8..14 => {
                    let word = self.pick(&["BETWEEN", "NOT BETWEEN"]);
                    format!("{word} {} AND {}", self.prefixed(depth), self.prefixed(depth))
                }
                14..19 => {
                    let word = self.pick(&["IN", "NOT IN"]);
                    format!("{word} ({}, {})", self.prefixed(depth), self.prefixed(depth))
                }
                19..22 => "COLLATE utf8mb4_bin".to_owned(),
                22..24 => format!("{} INTERVAL {} DAY", self.pick(&["+", "-"]), self.pick(&["1", "2", "a"])),
                _ => format!("{} {}", self.pick(INFIX), self.prefixed(depth)),
            };
        }
        text
    }

    fn prefixed(&mut self, depth: u32) -> String {
        let mut text = String::new();
        while self.below(4) == 0 {
            text += self.pick(PREFIX);
        }
        text + &self.operand(depth)
    }

    fn operand(&mut self, depth: u32) -> String {
        let Some(depth) = depth.checked_sub(1) else { return self.pick(OPERANDS).to_owned() };
        match self.below(100) {
            0..12 => format!("({})", self.expression(depth)),
            12..15 => {
                let [when, then, otherwise] = [(); 3].map(|()| self.expression(depth));
                format!("CASE WHEN {when} THEN {then} ELSE {otherwise} END")
            }
            15..18 => {
                let [condition, yes, no] = [(); 3].map(|()| self.expression(depth));
                format!("IF({condition}, {yes}, {no})")
            }
            18..20 => format!("COALESCE({}, {})", self.expression(depth), self.expression(depth)),
            20..22 => format!("(SELECT {})", self.expression(depth)),
            _ => self.pick(OPERANDS).to_owned(),
        }
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number below the limit, by SplitMix64.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % limit).unwrap()
    }
}
