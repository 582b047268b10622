//! Carrying a plan out on bytes: statements, parameters, column definitions, rows.
