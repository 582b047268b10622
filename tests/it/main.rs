//! Integration tests: the real program in front of a real server.
