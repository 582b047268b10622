//! An application, as far as the demo is concerned: the server's own command-line client.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::server::Server;

/// One account at one address.
#[derive(Clone, Debug)]
pub(super) struct Client {
    program: PathBuf,
    ca: PathBuf,
    port: u16,
    user: String,
    password: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Rows of cells; binary cells are in hexadecimal with `0x` before them.
    Rows(Vec<Vec<String>>),
    /// MySQL's error code and text.
    Error {
        /// The code.
        code: u16,
        /// The text.
        text: String,
    },
}

impl Client {
    pub(super) fn new(server: &Server, port: u16, user: &str, password: &str) -> Self {
        Self {
            program: server.programs.join(&server.kind),
            ca: server.ca.clone(),
            port,
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// The line that connects the same way from a shell.
    pub(super) fn command_line(&self) -> String {
        format!(
            "MYSQL_PWD={} {} --no-defaults --protocol=TCP --host=127.0.0.1 --port={} --user={} --ssl-ca={} shop",
            self.password,
            self.program.display(),
            self.port,
            self.user,
            self.ca.display()
        )
    }

    /// Runs statements and returns the rows of all, or the first error.
    pub(super) fn run(&self, sql: &str) -> anyhow::Result<Answer> {
        let mut child = Command::new(&self.program)
            .args(["--no-defaults", "--protocol=TCP", "--default-character-set=utf8mb4", "--batch", "--raw"])
            .args(["--skip-column-names", "--binary-as-hex", "--host=127.0.0.1"])
            .args([format!("--port={}", self.port), format!("--user={}", self.user)])
            .arg(format!("--ssl-ca={}", self.ca.display()))
            // Throw-away passwords of a throw-away server: on a command line, clients warn of them.
            .env("MYSQL_PWD", &self.password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let mut input = child.stdin.take().context("the client has no input")?;
        let text = sql.to_owned();
        // A client that has printed an error does not read on; writing must not block its output being read.
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let done = child.wait_with_output().context("cannot wait for the client")?;
        // An early end of the client is told by its exit code.
        drop(writer.join());
        if done.status.success() {
            let text = String::from_utf8(done.stdout).context("the client printed something that is not UTF-8")?;
            return Ok(Answer::Rows(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()));
        }
        let message = String::from_utf8(done.stderr).context("the client complained in something that is not UTF-8")?;
        error(&message).with_context(|| format!("the client failed: {}", message.trim()))
    }

    /// Runs statements that must succeed.
    pub(super) fn must(&self, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
        match self.run(sql)? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Error { code, text } => anyhow::bail!("unexpected error {code}: {text}"),
        }
    }
}

/// Reads `ERROR 1143 (42000) at line 1: text`.
fn error(message: &str) -> Option<Answer> {
    let line = message.lines().find_map(|line| line.strip_prefix("ERROR "))?;
    let (code, rest) = line.split_once(' ')?;
    let (_, text) = rest.split_once(": ")?;
    Some(Answer::Error { code: code.parse().ok()?, text: text.to_owned() })
}
