//! Judging a statement for SQL injection, on tokens and tree, never on raw text.
