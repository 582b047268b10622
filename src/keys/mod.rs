//! Key ring and key providers. Knows nothing of MySQL or rows.
