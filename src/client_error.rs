//! The one table from our refusals to MySQL error codes, SQLSTATEs and texts.
