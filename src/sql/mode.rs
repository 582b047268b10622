//! What changes how the server reads a statement: SQL mode, character set, product and version.

use crate::schema::{Charset, ServerVersion};

bitflags::bitflags! {
    /// The bits of `@@sql_mode` that Candado acts on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SqlMode: u8 {
        /// `"` quotes identifiers.
        const ANSI_QUOTES = 1;
        /// Backslash is an ordinary character in strings.
        const NO_BACKSLASH_ESCAPES = 2;
        /// `||` concatenates and binds tighter than `*`.
        const PIPES_AS_CONCAT = 4;
        /// NOT binds like `!`.
        const HIGH_NOT_PRECEDENCE = 8;
        /// Blanks may stand between a built-in function's name and its parenthesis.
        const IGNORE_SPACE = 16;
        /// STRICT_TRANS_TABLES or STRICT_ALL_TABLES: a value that does not fit is an error.
        const STRICT = 32;
        /// An empty string literal or parameter is NULL (MariaDB).
        const EMPTY_STRING_IS_NULL = 64;
    }
}

impl SqlMode {
    /// Reads the value of `@@sql_mode`. Modes without a bit here change nothing that Candado reads; combination modes
    /// (`ANSI`) arrive from the server already spelled out.
    pub fn from_variable(value: &str) -> Self {
        value.split(',').fold(Self::empty(), |mode, name| {
            mode | match name.trim() {
                "ANSI_QUOTES" => Self::ANSI_QUOTES,
                "NO_BACKSLASH_ESCAPES" => Self::NO_BACKSLASH_ESCAPES,
                "PIPES_AS_CONCAT" => Self::PIPES_AS_CONCAT,
                "HIGH_NOT_PRECEDENCE" => Self::HIGH_NOT_PRECEDENCE,
                "IGNORE_SPACE" => Self::IGNORE_SPACE,
                "STRICT_TRANS_TABLES" | "STRICT_ALL_TABLES" => Self::STRICT,
                "EMPTY_STRING_IS_NULL" => Self::EMPTY_STRING_IS_NULL,
                _ => Self::empty(),
            }
        })
    }
}

/// Everything outside the statement's own bytes that decides how the server reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// The session's SQL mode.
    pub mode: SqlMode,
    /// `character_set_client`.
    pub charset: Charset,
    /// Product and version, which decide about versioned comments.
    pub server: ServerVersion,
}
