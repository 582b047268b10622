//! What kind of statement this is, by its leading tokens alone. Never depends on a parse.

use super::{Token, TokenKind};

/// Kinds of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementClass {
    /// No token at all.
    Empty,
    /// SELECT, WITH, TABLE, VALUES, a parenthesised query, INSERT, REPLACE, UPDATE, DELETE: what the parser reads.
    Dml,
    /// EXPLAIN, DESCRIBE, DESC, and MariaDB's ANALYZE of a statement. Also `DESCRIBE table` and EXPLAIN FOR CONNECTION.
    Explain,
    /// SET of variables, NAMES, CHARACTER SET, PASSWORD, ROLE, TRANSACTION.
    Set,
    /// MariaDB's SET STATEMENT … FOR statement.
    SetStatement,
    /// USE.
    Use,
    /// SHOW.
    Show,
    /// BEGIN, START TRANSACTION, COMMIT, ROLLBACK, SAVEPOINT, RELEASE SAVEPOINT, XA.
    Transaction,
    /// LOCK and UNLOCK.
    Lock,
    /// CREATE, ALTER, DROP, RENAME, TRUNCATE.
    Ddl {
        /// What is done.
        verb: DdlVerb,
        /// To what kind of object.
        object: DdlObject,
    },
    /// GRANT, REVOKE.
    Grant,
    /// CALL.
    Call,
    /// DO.
    Do,
    /// PREPARE name FROM text.
    Prepare,
    /// EXECUTE name.
    Execute,
    /// EXECUTE IMMEDIATE text.
    ExecuteImmediate,
    /// DEALLOCATE or DROP PREPARE.
    Deallocate,
    /// LOAD DATA, LOAD XML.
    LoadData,
    /// IMPORT TABLE.
    Import,
    /// HANDLER.
    Handler,
    /// ANALYZE TABLE, CHECK, CHECKSUM, OPTIMIZE, REPAIR, CACHE, FLUSH, LOAD INDEX.
    Maintenance,
    /// KILL.
    Kill,
    /// Statements about the server itself: RESET, PURGE, CHANGE, START or STOP REPLICA, INSTALL, SHUTDOWN, HELP, …
    Administration,
    /// GET DIAGNOSTICS, SIGNAL, RESIGNAL.
    Diagnostics,
    /// MariaDB's BEGIN NOT ATOMIC and other statements of the procedure language.
    Compound,
    /// Anything else.
    Other,
}

/// Verbs of data definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlVerb {
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
    /// RENAME.
    Rename,
    /// TRUNCATE.
    Truncate,
}

/// Objects of data definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlObject {
    /// TABLE, also TEMPORARY TABLE and TRUNCATE without the word.
    Table,
    /// VIEW.
    View,
    /// INDEX of any kind.
    Index,
    /// TRIGGER.
    Trigger,
    /// PROCEDURE, FUNCTION, PACKAGE: text that runs inside the server.
    Routine,
    /// EVENT.
    Event,
    /// DATABASE or SCHEMA.
    Database,
    /// USER or ROLE.
    Account,
    /// SERVER, TABLESPACE, SEQUENCE, RESOURCE GROUP, and everything else.
    Other,
}

/// The class of a statement. Labels and unknown words give [`StatementClass::Other`].
pub fn statement_class(sql: &[u8], tokens: &[Token]) -> StatementClass {
    use StatementClass as Class;
    let Some(first) = tokens.first() else { return Class::Empty };
    if first.kind == TokenKind::LeftParen {
        return Class::Dml;
    }
    let word = |at: usize| Upper::of(sql, tokens.get(at));
    let second = word(1);
    match word(0).as_str() {
        "SELECT" | "WITH" | "TABLE" | "VALUES" | "INSERT" | "REPLACE" | "UPDATE" | "DELETE" => Class::Dml,
        "EXPLAIN" | "DESCRIBE" | "DESC" => Class::Explain,
        "SET" if second.as_str() == "STATEMENT" => Class::SetStatement,
        "SET" => Class::Set,
        "USE" => Class::Use,
        "SHOW" => Class::Show,
        "BEGIN" => match (tokens.get(1).map(|token| token.kind), second.as_str()) {
            (None | Some(TokenKind::Semicolon), _) | (_, "WORK") => Class::Transaction,
            _ => Class::Compound,
        },
        "START" if second.as_str() == "TRANSACTION" => Class::Transaction,
        "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "XA" => Class::Transaction,
        "LOCK" | "UNLOCK" => Class::Lock,
        "CREATE" => ddl(DdlVerb::Create, sql, tokens),
        "ALTER" => ddl(DdlVerb::Alter, sql, tokens),
        "DROP" if second.as_str() == "PREPARE" => Class::Deallocate,
        "DROP" => ddl(DdlVerb::Drop, sql, tokens),
        "RENAME" => ddl(DdlVerb::Rename, sql, tokens),
        "TRUNCATE" => Class::Ddl { verb: DdlVerb::Truncate, object: DdlObject::Table },
        "GRANT" | "REVOKE" => Class::Grant,
        "CALL" => Class::Call,
        "DO" => Class::Do,
        "PREPARE" => Class::Prepare,
        "EXECUTE" if second.as_str() == "IMMEDIATE" => Class::ExecuteImmediate,
        "EXECUTE" => Class::Execute,
        "DEALLOCATE" => Class::Deallocate,
        "LOAD" if second.as_str() == "INDEX" => Class::Maintenance,
        "LOAD" => Class::LoadData,
        "IMPORT" => Class::Import,
        "HANDLER" => Class::Handler,
        "ANALYZE" => analyze(&[second.as_str(), word(2).as_str()]),
        "CHECK" | "CHECKSUM" | "OPTIMIZE" | "REPAIR" | "CACHE" | "FLUSH" => Class::Maintenance,
        "KILL" => Class::Kill,
        "GET" | "SIGNAL" | "RESIGNAL" => Class::Diagnostics,
        "IF" | "CASE" | "LOOP" | "WHILE" | "REPEAT" | "FOR" | "DECLARE" | "OPEN" | "FETCH" | "CLOSE" => Class::Compound,
        "RESET" | "PURGE" | "CHANGE" | "START" | "STOP" | "INSTALL" | "UNINSTALL" | "SHUTDOWN" | "RESTART" | "HELP"
        | "BINLOG" | "CLONE" | "BACKUP" => Class::Administration,
        _ => Class::Other,
    }
}

/// ANALYZE [LOCAL | NO_WRITE_TO_BINLOG] TABLE maintains; MariaDB's ANALYZE [FORMAT = …] statement runs one.
fn analyze(words: &[&str; 2]) -> StatementClass {
    match words {
        ["TABLE" | "TABLES", _] | ["LOCAL" | "NO_WRITE_TO_BINLOG", _] => StatementClass::Maintenance,
        _ => StatementClass::Explain,
    }
}

/// The object is named by the first word that names one, before any name could follow: OR REPLACE, DEFINER = …,
/// SQL SECURITY …, UNIQUE and the like stand before it.
fn ddl(verb: DdlVerb, sql: &[u8], tokens: &[Token]) -> StatementClass {
    // The account behind DEFINER = may be named like an object.
    let definer = tokens.iter().position(|token| token.is_word(sql, "DEFINER"));
    let object = tokens.iter().enumerate().skip(1).take(32).find_map(|(at, token)| {
        if definer.is_some_and(|definer| at == definer.saturating_add(2)) {
            return None;
        }
        Some(match Upper::of(sql, Some(token)).as_str() {
            "TABLE" | "TABLES" => DdlObject::Table,
            "VIEW" => DdlObject::View,
            "INDEX" => DdlObject::Index,
            "TRIGGER" => DdlObject::Trigger,
            "PROCEDURE" | "FUNCTION" | "PACKAGE" | "LIBRARY" => DdlObject::Routine,
            "EVENT" => DdlObject::Event,
            "DATABASE" | "SCHEMA" => DdlObject::Database,
            "USER" | "ROLE" => DdlObject::Account,
            "SERVER" | "TABLESPACE" | "SEQUENCE" | "RESOURCE" | "LOGFILE" | "UNDO" | "SPATIAL_REFERENCE"
            | "INSTANCE" => DdlObject::Other,
            _ => return None,
        })
    });
    StatementClass::Ddl { verb, object: object.unwrap_or(DdlObject::Other) }
}

/// The statements of a batch, split at semicolons, empty ones left out. The definition of a routine, trigger or event
/// is one statement to its end: the semicolons belong to its body.
pub fn statements<'t>(sql: &[u8], tokens: &'t [Token]) -> Vec<&'t [Token]> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let whole = matches!(
            statement_class(sql, rest),
            StatementClass::Compound
                | StatementClass::Ddl {
                    verb: DdlVerb::Create | DdlVerb::Alter,
                    object: DdlObject::Routine | DdlObject::Trigger | DdlObject::Event
                }
        );
        let end = if whole { None } else { rest.iter().position(|token| token.kind == TokenKind::Semicolon) };
        let (statement, behind) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, [].as_slice()),
        };
        if !statement.is_empty() {
            found.push(statement);
        }
        rest = behind;
    }
    found
}

/// A word in upper case on the stack; empty for what is no word or longer than any keyword here.
struct Upper {
    bytes: [u8; 24],
    length: usize,
}

impl Upper {
    fn of(sql: &[u8], token: Option<&Token>) -> Self {
        let mut upper = Self { bytes: [0; 24], length: 0 };
        if let Some(token) = token
            && token.kind == TokenKind::Word
        {
            let word = token.bytes(sql);
            if let Some(target) = upper.bytes.get_mut(..word.len()) {
                target.copy_from_slice(word);
                target.make_ascii_uppercase();
                upper.length = word.len();
            }
        }
        upper
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}
