//! A session whose account has to set another password before anything else.
//!
//! The server answers no question in it, so neither the account nor the session's state is known, and nothing can be
//! read as policy demands. Two statements pass that name no table and return no row of one. After each of them the
//! state is asked for again: the session is an ordinary one from the moment in which the server answers.

use super::decision::{After, Cells, Decision, Desk, Pending, Send, Then, guard, pass};
use crate::client_error::Complaint;
use crate::schema::{Charset, ServerVersion};
use crate::sql::{self, Dialect, SqlMode, TokenKind};
use crate::wire::command::Command;
use crate::wire::response::{Response, RowFormat};

impl Desk {
    /// Decides about a command of such a session. `body` is what follows the command byte.
    pub(super) fn decide_expired(&self, command: Command, body: &[u8]) -> Decision {
        let again = Then { database: None, after: After::PROBE };
        match command {
            Command::Query => self.new_password(body),
            Command::Quit => Decision::Quit,
            Command::Ping => pass(Response::Status, Then::default()),
            Command::ChangeUser => Decision::ChangeUser,
            Command::ResetConnection => pass(Response::Status, again),
            // Neither is answered, and there is no statement that they could be about.
            Command::StmtSendLongData | Command::StmtClose => Decision::Nothing,
            Command::InitDb
            | Command::FieldList
            | Command::Statistics
            | Command::Debug
            | Command::StmtPrepare
            | Command::StmtExecute
            | Command::StmtReset
            | Command::SetOption
            | Command::StmtFetch
            | Command::Copying
            | Command::Unknown => Decision::Refuse(Complaint::PasswordExpired.into()),
        }
    }

    /// Lets the statement pass that sets another password.
    fn new_password(&self, sql: &[u8]) -> Decision {
        let snapshot = match self.begin() {
            Ok(snapshot) => snapshot,
            Err(error) => return Decision::Refuse(error),
        };
        if !sets_password(sql, self.state.server) {
            return Decision::Refuse(Complaint::PasswordExpired.into());
        }
        let pending = Pending {
            // IDENTIFIED BY RANDOM PASSWORD answers with rows.
            response: Response::Header(RowFormat::Text),
            cells: Cells::Relay(guard(&snapshot)),
            then: Then { database: None, after: After::PROBE },
            prepared: None,
        };
        Decision::Forward { send: Send::AsItCame, pending }
    }
}

/// Whether a statement is ALTER USER or SET PASSWORD of one account, without a query in it. The server sees to it that the
/// account is the session's own; in a list it does not. Where a backslash leaves open what is text, so it does whether a
/// comma makes a list.
///
/// SQL mode and character set are not known here. Neither changes what the first two words are, and the server, which
/// was asked for one statement at a time, refuses whatever else they might hide.
fn sets_password(sql: &[u8], server: ServerVersion) -> bool {
    let dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server };
    let mut tokens = Vec::new();
    if sql::lex(sql, &dialect, &mut tokens).is_err() {
        return false;
    }
    let [first, second, rest @ ..] = tokens.as_slice() else { return false };
    let is = |first_word, second_word| first.is_word(sql, first_word) && second.is_word(sql, second_word);
    let is_list =
        rest.iter().any(|token| token.kind == TokenKind::Comma) || sql.contains(&b',') && sql.contains(&b'\\');
    let is_query = rest.iter().any(|token| token.is_word(sql, "SELECT"));
    (is("ALTER", "USER") || is("SET", "PASSWORD")) && !is_list && !is_query
}

#[cfg(test)]
mod tests {
    use super::sets_password;
    use crate::schema::{ServerKind, ServerVersion};

    #[test]
    fn only_the_two_statements_that_set_a_password_pass() {
        let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
        let verdict = |sql: &str| sets_password(sql.as_bytes(), server);
        for sql in [
            "ALTER USER USER() IDENTIFIED BY 'new'",
            "/* why */ alter user 'a'@'%' IDENTIFIED BY 'SELECT'",
            "SET PASSWORD = 'new'",
            "set password FOR 'a'@'%' = 'new';",
            "SET PASSWORD = 'a,b'",
            r"SET PASSWORD = 'a\\b'",
        ] {
            assert!(verdict(sql), "{sql}");
        }
        for sql in [
            "",
            "ALTER",
            "SELECT 1",
            "SET @password = 1",
            "SET `password` = 1",
            "SET @@password = 1",
            "SET SESSION PASSWORD = 1",
            "ALTER ROLE r",
            "ALTER TABLE user DROP COLUMN c",
            "SET PASSWORD = (SELECT phone FROM customers)",
            "/* ALTER USER */ SELECT 1",
            "CREATE USER a",
            "ALTER USER 'open",
            "ALTER USER CURRENT_USER() IDENTIFIED BY 'a', b IDENTIFIED BY 'c'",
            r"ALTER USER CURRENT_USER() IDENTIFIED BY 'a\', b IDENTIFIED BY '",
            "SET PASSWORD = PASSWORD('a'), PASSWORD FOR b = PASSWORD('c')",
        ] {
            assert!(!verdict(sql), "{sql}");
        }
    }
}
