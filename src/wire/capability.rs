//! Capability flags (§ "Capabilities Flags") and which of them pass.
//!
//! The rule: clear what Candado does not carry in the greeting, and mask the login with what was offered.

bitflags::bitflags! {
    /// Capability flags of greeting and login.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Capabilities: u32 {
        /// `CLIENT_LONG_PASSWORD`. A MariaDB server leaves it out and then means its extended capabilities.
        const LONG_PASSWORD = 1;
        /// `CLIENT_FOUND_ROWS`.
        const FOUND_ROWS = 1 << 1;
        /// `CLIENT_CONNECT_WITH_DB`: the login names a database.
        const CONNECT_WITH_DB = 1 << 3;
        /// `CLIENT_COMPRESS`: zlib.
        const COMPRESS = 1 << 5;
        /// `CLIENT_LOCAL_FILES`: LOAD DATA LOCAL.
        const LOCAL_FILES = 1 << 7;
        /// `CLIENT_IGNORE_SPACE`: the session starts with sql_mode IGNORE_SPACE.
        const IGNORE_SPACE = 1 << 8;
        /// `CLIENT_PROTOCOL_41`.
        const PROTOCOL_41 = 1 << 9;
        /// `CLIENT_SSL`: the login is preceded by a TLS handshake.
        const SSL = 1 << 11;
        /// `CLIENT_SECURE_CONNECTION`: the authentication data has a length.
        const SECURE_CONNECTION = 1 << 15;
        /// `CLIENT_MULTI_STATEMENTS`: several statements in one COM_QUERY.
        const MULTI_STATEMENTS = 1 << 16;
        /// `CLIENT_MULTI_RESULTS`.
        const MULTI_RESULTS = 1 << 17;
        /// `CLIENT_PS_MULTI_RESULTS`.
        const PS_MULTI_RESULTS = 1 << 18;
        /// `CLIENT_PLUGIN_AUTH`.
        const PLUGIN_AUTH = 1 << 19;
        /// `CLIENT_CONNECT_ATTRS`.
        const CONNECT_ATTRS = 1 << 20;
        /// `CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA`.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// `CLIENT_SESSION_TRACK`: OK packets carry session-state changes.
        const SESSION_TRACK = 1 << 23;
        /// `CLIENT_DEPRECATE_EOF`: OK packets stand where EOF packets stood.
        const DEPRECATE_EOF = 1 << 24;
        /// `CLIENT_OPTIONAL_RESULTSET_METADATA`: results may come without column definitions.
        const OPTIONAL_METADATA = 1 << 25;
        /// `CLIENT_ZSTD_COMPRESSION_ALGORITHM`.
        const ZSTD = 1 << 26;
        /// `CLIENT_QUERY_ATTRIBUTES`: COM_QUERY begins with attributes.
        const QUERY_ATTRIBUTES = 1 << 27;
        const _ = !0;
    }
}

impl Capabilities {
    /// What never passes: Candado reads every statement and every result, so neither may be compressed, stacked, without
    /// definitions or prefixed; and a server may not ask the client for a file.
    pub const REFUSED: Self = Self::COMPRESS
        .union(Self::ZSTD)
        .union(Self::LOCAL_FILES)
        .union(Self::MULTI_STATEMENTS)
        .union(Self::OPTIONAL_METADATA)
        .union(Self::QUERY_ATTRIBUTES);

    /// What a server must offer: without them statements and sessions cannot be followed.
    pub const NEEDED_OF_SERVER: Self =
        Self::PROTOCOL_41.union(Self::SECURE_CONNECTION).union(Self::PLUGIN_AUTH).union(Self::SESSION_TRACK);

    /// What a client must bring.
    pub const NEEDED_OF_CLIENT: Self = Self::PROTOCOL_41.union(Self::SECURE_CONNECTION).union(Self::PLUGIN_AUTH);
}
