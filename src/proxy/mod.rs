//! The data plane: listener, login, session, relay.
