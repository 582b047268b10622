//! Random soups of words, values, signs and comments, the same ones for the same seed. They are made to be cut in more
//! than one way; whether a parser takes what comes out is the server's affair.

const ATOMS: &[&str] = &[
    "a",
    "t.a",
    "t . a",
    "t.1a",
    "t.select",
    "`c`",
    "`c``d`",
    "größe",
    "名",
    "a$b",
    "_a",
    "1a",
    "1e5a",
    "0x1",
    "0x1F",
    "0X41",
    "0b01",
    "0b2",
    "1",
    "1.5",
    ".5",
    "1.",
    "1e5",
    "1.5E-5",
    "1.e5",
    "x'41'",
    "X'4142'",
    "b'01'",
    "N'a'",
    "_utf8mb4'a'",
    "_latin1 x'41'",
    "_binary\"a\"",
    "'a'",
    "'a' 'b'",
    "'it''s'",
    "'a\\'b'",
    "'\\\\'",
    "''",
    "\"b\"",
    "\"b\"\"c\"",
    "\"b\\\"c\"",
    "'--'",
    "'/*'",
    "'*/'",
    "\"#\"",
    "@v",
    "@'v w'",
    "@`v`",
    "@@sql_mode",
    "@@session.sql_mode",
    "@@`sql_mode`",
    "NULL",
    "TRUE",
    "COUNT(*)",
    "COUNT (a)",
    "MAX(a)",
    "own (a)",
    "(a)",
    "(SELECT 1)",
    "?",
];
const SIGNS: &[&str] = &[
    ",", ",", ",", ",", "+", "-", "*", "/", "%", "=", "<=>", "<>", "!=", "<", ">=", "<<", ">>", "|", "||", "&", "&&",
    "^", ":=", "AND", "OR", "XOR", "DIV", "LIKE", "IS NULL,", "- -", "--", "-~", "->", "->>", "AS",
];
const NOISE: &[&str] = &[
    " ",
    " ",
    " ",
    " ",
    "",
    "",
    "\n",
    "\t",
    "\r\n",
    "\u{b}",
    "/**/",
    "/* c */",
    "/*'*/",
    "/*\"*/",
    "/*`*/",
    "/*/ */",
    "/***/",
    "-- c\n",
    "--\n",
    "--\t'\n",
    "-- '\n",
    "# c\n",
    "#'\n",
    "/*! */",
    "/*!50000 */",
    "/*!50000 +1*/",
    "/*!800001+1*/",
    "/*!99999 a*/",
    "/*!99999 '*/",
    "/*!999999 a */",
    "/*!080000 a */",
    "/*!1234 */",
    "/*!50000'*/'*/",
    "/*M! a*/",
    "/*M!50000 a*/",
    "/*+ a */",
    "/*!50000",
    "*/",
    "\u{a0}",
    ";",
];

/// An endless row of statements.
pub(super) struct Soups {
    state: u64,
}

impl Soups {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next_statement(&mut self) -> String {
        let mut text = String::from("SELECT");
        for position in 0..1 + self.below(5) {
            if position > 0 {
                text += self.noise();
                text += self.pick(SIGNS);
            }
            text += self.noise();
            text += self.pick(ATOMS);
        }
        text += self.noise();
        text
    }

    /// Mostly a blank, so that most soups can be read at all.
    fn noise(&mut self) -> &'static str {
        if self.below(3) > 0 { " " } else { self.pick(NOISE) }
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    /// SplitMix64.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
