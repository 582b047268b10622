//! Reading MySQL's SQL exactly as the connected server does: lexer, digest, DML parser, literals.
//!
//! Works on bytes; statements need not be UTF-8. Knows the catalog's reserved words and nothing of policy, keys or
//! network. Name resolution against the catalog is [`crate::plan`]'s.

mod digest;
mod lexer;
mod literal;
mod mode;
mod parser;
mod print;
mod statement_class;
#[cfg(test)]
mod tests;
mod token;
pub mod tree;
pub mod walk;
mod words;

pub use digest::normalise;
pub use lexer::{LexError, lex};
pub use literal::{LiteralError, hex_bytes, integer, literal_text};
pub use mode::{Dialect, SqlMode};
pub use parser::{ParseError, parse};
pub use print::parenthesised;
pub use statement_class::{DdlObject, DdlVerb, StatementClass, statement_class, statements};
pub use token::{Marks, Token, TokenKind, name};
pub use words::ReservedWords;
