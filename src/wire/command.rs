//! Commands (§ "Command Phase").

/// The first byte of a command. All bytes have a variant, so that no command goes by unnamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `COM_QUIT`.
    Quit,
    /// `COM_INIT_DB`.
    InitDb,
    /// `COM_QUERY`.
    Query,
    /// `COM_FIELD_LIST`.
    FieldList,
    /// `COM_STATISTICS`.
    Statistics,
    /// `COM_DEBUG`.
    Debug,
    /// `COM_PING`.
    Ping,
    /// `COM_CHANGE_USER`.
    ChangeUser,
    /// `COM_STMT_PREPARE`.
    StmtPrepare,
    /// `COM_STMT_EXECUTE`.
    StmtExecute,
    /// `COM_STMT_SEND_LONG_DATA`.
    StmtSendLongData,
    /// `COM_STMT_CLOSE`.
    StmtClose,
    /// `COM_STMT_RESET`.
    StmtReset,
    /// `COM_SET_OPTION`.
    SetOption,
    /// `COM_STMT_FETCH`.
    StmtFetch,
    /// `COM_RESET_CONNECTION`.
    ResetConnection,
    /// Commands of replication and cloning, which hand out data past every policy.
    Copying,
    /// Any other byte: obsolete, internal or unknown.
    Unknown,
}

impl Command {
    /// Names the command of a first byte.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::Quit,
            0x02 => Self::InitDb,
            0x03 => Self::Query,
            0x04 => Self::FieldList,
            0x09 => Self::Statistics,
            0x0d => Self::Debug,
            0x0e => Self::Ping,
            0x11 => Self::ChangeUser,
            0x16 => Self::StmtPrepare,
            0x17 => Self::StmtExecute,
            0x18 => Self::StmtSendLongData,
            0x19 => Self::StmtClose,
            0x1a => Self::StmtReset,
            0x1b => Self::SetOption,
            0x1c => Self::StmtFetch,
            0x1f => Self::ResetConnection,
            0x12 | 0x15 | 0x1e | 0x20 => Self::Copying,
            0x00 | 0x05..=0x08 | 0x0a..=0x0c | 0x0f | 0x10 | 0x13 | 0x14 | 0x1d | 0x21..=0xff => Self::Unknown,
        }
    }

    /// The command's first byte, for those that Candado itself writes.
    pub const QUERY: u8 = 0x03;
    /// The first byte of COM_CHANGE_USER.
    pub const CHANGE_USER: u8 = 0x11;
    /// The first byte of COM_STMT_PREPARE.
    pub const STMT_PREPARE: u8 = 0x16;
}

/// The statement id at the front of COM_STMT_EXECUTE, _SEND_LONG_DATA, _CLOSE, _RESET and _FETCH, after the first byte.
pub fn statement_id(payload: &[u8]) -> Option<u32> {
    let (_, rest) = payload.split_first()?;
    rest.first_chunk::<4>().map(|id| u32::from_le_bytes(*id))
}
