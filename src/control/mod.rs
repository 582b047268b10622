//! The control plane: key store, catalog loading. Everything slow.
