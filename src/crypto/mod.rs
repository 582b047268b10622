//! Envelopes, associated data, blind indexes and their normalisers. Does not know where keys come from.
