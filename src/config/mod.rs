//! candado.toml: as written, and as used.
