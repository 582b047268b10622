//! The story that the demo tells, step by step. Every claim is checked while it is made: a step whose outcome differs
//! is marked, and the demo fails at its end.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::super::{Failure, check, keys, output::Output};
use super::Kind;
use super::client::{Answer, Client};
use super::search::{Needles, content, files_below};
use super::server::{Customer, Server, customers, start, unpack};
use crate::app::Running;
use crate::config::Settings;
use crate::{config, policy, telemetry};

const SCHEMA: &str = include_str!("../../../keys-policy/schema.sql");
const POLICY: &str = include_str!("../../../keys-policy/policy.toml");
/// The customer that the story follows: his number is known in three notations.
const HERO: &str = "Frank Harris";
const ROWS_SHOWN: usize = 3;

/// Writes the story, and counts where it did not come true.
struct Teller<'a> {
    output: &'a Output,
    ended: &'a CancellationToken,
    step: Cell<u32>,
    broken: Cell<u32>,
}

/// Tells the story. Stays until `ended` if it is to `stay`.
pub(super) fn tell(
    kind: Kind,
    stay: bool,
    ended: &CancellationToken,
    handle: &Handle,
    output: &Output,
) -> Result<(), Failure> {
    let teller = Teller { output, ended, step: Cell::new(0), broken: Cell::new(0) };
    let folder = tempfile::Builder::new().prefix("candado-demo-").tempdir().context("cannot make a folder")?;
    let outcome = teller.play(kind, stay, handle, folder.path());
    folder.close().context("cannot remove the demo's folder")?;
    if ended.is_cancelled() {
        return Ok(());
    }
    outcome?;
    match teller.broken.get() {
        0 => Ok(()),
        _ => Err(Failure::Found),
    }
}

/// Accounts of the demo, with throw-away passwords.
struct Accounts {
    control: String,
    security: String,
    application: String,
    engineer: String,
}

impl Accounts {
    fn new() -> Self {
        let draw = || uuid::Uuid::new_v4().simple().to_string();
        Self { control: draw(), security: draw(), application: draw(), engineer: draw() }
    }
}

impl Teller<'_> {
    fn play(&self, kind: Kind, stay: bool, handle: &Handle, folder: &Path) -> anyhow::Result<()> {
        let scripts = unpack(folder)?;
        let people = customers(&scripts)?;
        let server = start(&scripts, folder, kind)?;
        self.line(format_args!(
            "Candado in front of a private {} with the {} customers of the Chinook sample database.",
            server.title(),
            people.len()
        ))?;
        let accounts = Accounts::new();
        let root = Client::new(&server, server.port, "root", "");
        prepare(&root, &accounts)?;
        let settings = settings(folder, &server, &accounts)?;
        self.protect(handle, &root, &settings, &accounts)?;
        let running = self.serve(handle, folder, settings)?;
        let port = running.address().port();
        let application = Client::new(&server, port, "shop", &accounts.application);
        let engineer = Client::new(&server, port, "engineer", &accounts.engineer);
        let outcome = self.scenes(&people, &application, &engineer, &root, &server, folder);
        if outcome.is_ok() && stay && self.broken.get() == 0 {
            self.line("\nTry it. Through Candado, and straight to the server:\n")?;
            self.line(format_args!(
                "  {}\n  {}\n\nCtrl-C ends both.",
                application.command_line(),
                root.command_line()
            ))?;
            handle.block_on(self.ended.cancelled());
        }
        handle.block_on(running.end());
        outcome
    }

    fn scenes(
        &self,
        people: &[Customer],
        application: &Client,
        engineer: &Client,
        root: &Client,
        server: &Server,
        folder: &Path,
    ) -> anyhow::Result<()> {
        self.insert(people, application, root)?;
        self.select(people, application, root)?;
        self.lookup(application, root)?;
        self.engineer(engineer)?;
        self.injection(application, root)?;
        self.search_files(people, server, root, &folder.join("candado.log"))
    }

    /// Lets `check` find what the table lacks, applies it, and makes keys.
    fn protect(&self, handle: &Handle, root: &Client, settings: &Settings, accounts: &Accounts) -> anyhow::Result<()> {
        self.heading("candado check: what shop.customers lacks")?;
        let policy = load_policy(settings)?;
        let statements = handle.block_on(check::missing_statements(settings, &policy))?;
        for statement in &statements {
            self.line(format_args!("  {statement};"))?;
            root.must(statement)?;
        }
        let left = handle.block_on(check::missing_statements(settings, &policy))?;
        self.claim(!statements.is_empty() && left.is_empty(), "applied; nothing is missing any more")?;
        self.heading("candado keys init")?;
        let mut admin = settings.clone();
        admin.control.user = "candado_security".into();
        admin.control.password = accounts.security.clone().into();
        for line in handle.block_on(keys::initialise(&admin, &policy))?.text().lines() {
            self.line(format_args!("  {line}"))?;
        }
        Ok(())
    }

    fn serve(&self, handle: &Handle, folder: &Path, settings: Settings) -> anyhow::Result<Running> {
        self.heading("candado serve")?;
        let log = fs::File::create(folder.join("candado.log")).context("cannot make the log")?;
        telemetry::init(settings.log, telemetry::Destination::File(log)).context("cannot start logging")?;
        let running = handle.block_on(crate::app::start(settings)).context("cannot start")?;
        let ready = handle.block_on(async {
            tokio::select! {
                () = self.ended.cancelled() => false,
                () = running.ready() => true,
            }
        });
        if !ready {
            handle.block_on(running.end());
            bail!("ended");
        }
        self.line(format_args!("  listening on {}, TLS on both sides, keys loaded", running.address()))?;
        Ok(running)
    }

    fn insert(&self, people: &[Customer], application: &Client, root: &Client) -> anyhow::Result<()> {
        self.heading("The application inserts, as ever. The same statement straight to the server is refused there")?;
        let hero = people.iter().find(|person| person.name == HERO).context("the sample lost a customer")?;
        self.line(format_args!("  {};", shorten(&insert_statement(hero), 108)))?;
        let all: Vec<String> = people.iter().map(|person| format!("{};", insert_statement(person))).collect();
        let through = application.run(&format!("USE shop; {}", all.join("\n")))?;
        self.beside(&through, &root.run(&format!("USE shop; {}", insert_statement(hero)))?)?;
        let stored = application.must("SELECT COUNT(*) FROM shop.customers")?;
        self.claim(stored == [[people.len().to_string()]], &format!("{} rows inserted through Candado", people.len()))
    }

    fn select(&self, people: &[Customer], application: &Client, root: &Client) -> anyhow::Result<()> {
        self.heading("The same SELECT: plaintext for the application, envelopes at rest")?;
        let sql =
            format!("SELECT name, phone, address FROM customers WHERE country = 'USA' ORDER BY id LIMIT {ROWS_SHOWN}");
        let (through, direct) = self.both(&sql, application, root)?;
        let all =
            application.must("USE shop; SELECT id, name, country, phone, email, address FROM customers ORDER BY id")?;
        let same = all == people.iter().map(Customer::cells).collect::<Vec<_>>();
        let sealed =
            matches!(&direct, Answer::Rows(rows) if rows.iter().all(|row| row.iter().skip(1).all(is_envelope)));
        let open = matches!(&through, Answer::Rows(rows) if rows.len() == ROWS_SHOWN);
        self.claim(same && sealed && open, "all rows read back exactly as they were written; NULL stays NULL")
    }

    fn lookup(&self, application: &Client, root: &Client) -> anyhow::Result<()> {
        self.heading("Look-up by telephone number, in another notation than the stored one")?;
        let sql = "SELECT name, phone FROM customers WHERE phone = '650.253.0000'";
        let (through, direct) = self.both(sql, application, root)?;
        let found = matches!(&through, Answer::Rows(rows) if rows.len() == 1
            && rows.first().is_some_and(|row| row.first().is_some_and(|name| name == HERO)));
        self.claim(found && direct == Answer::Rows(Vec::new()), "found over an ordinary index on the envelope's prefix")
    }

    fn engineer(&self, engineer: &Client) -> anyhow::Result<()> {
        self.heading("An engineer with role \"deny\": the rest of the table works, protected columns do not")?;
        let phones = self.one("SELECT name, phone FROM customers WHERE id = 16", engineer)?;
        let names = self.one("SELECT name, country FROM customers WHERE id = 16", engineer)?;
        let guess = self.one("SELECT COUNT(*) FROM customers WHERE phone = '+16502530000'", engineer)?;
        let denied = |answer: &Answer| matches!(answer, Answer::Error { code: 1143, .. });
        let allowed = matches!(&names, Answer::Rows(rows) if rows.len() == 1);
        self.claim(denied(&phones) && denied(&guess) && allowed, "denied by column, also as a guess in WHERE")
    }

    fn injection(&self, application: &Client, root: &Client) -> anyhow::Result<()> {
        self.heading("An injection: somebody's name is  ' UNION SELECT … --  and the application pastes it")?;
        let sql = "SELECT id, name FROM customers WHERE name = '' UNION SELECT ordinal_position, column_name \
                   FROM information_schema.columns WHERE table_name = 'customers' LIMIT 3 -- '";
        let (through, direct) = self.both(sql, application, root)?;
        let refused = matches!(&through, Answer::Error { code: 6444, .. });
        let harm = matches!(&direct, Answer::Rows(rows) if rows.len() == 3);
        self.claim(refused && harm, "refused before the server saw it; the connection stays")
    }

    fn search_files(&self, people: &[Customer], server: &Server, root: &Client, log: &Path) -> anyhow::Result<()> {
        self.heading("The server's files and Candado's log, searched for all numbers and addresses")?;
        root.must("FLUSH TABLES shop.customers FOR EXPORT; UNLOCK TABLES")?;
        let sealed = people.iter().flat_map(|person| [person.phone.as_deref(), Some(&person.address)]).flatten();
        let (sealed, open) = (Needles::new(sealed), Needles::new([HERO]));
        let (mut octets, mut sealed_hits, mut open_hits) = (0, 0, 0);
        for path in files_below(&server.data)?.iter().map(PathBuf::as_path).chain([log]) {
            let Some(content) = content(path) else { continue };
            octets += content.len();
            sealed_hits += sealed.count(&content);
            open_hits += open.count(&content);
        }
        let text = format!(
            "{} MB, {} values: {sealed_hits} places found; the unprotected name {HERO}: {open_hits} places",
            octets >> 20,
            sealed.len()
        );
        self.claim(sealed_hits == 0 && open_hits > 0, &text)
    }

    /// Runs one statement on both sides and shows the answers.
    fn both(&self, sql: &str, application: &Client, root: &Client) -> anyhow::Result<(Answer, Answer)> {
        self.line(format_args!("  {sql}"))?;
        let through = application.run(&format!("USE shop; {sql}"))?;
        let direct = root.run(&format!("USE shop; {sql}"))?;
        self.beside(&through, &direct)?;
        Ok((through, direct))
    }

    fn one(&self, sql: &str, client: &Client) -> anyhow::Result<Answer> {
        let answer = client.run(&format!("USE shop; {sql}"))?;
        self.line(format_args!("  {sql}"))?;
        for line in show(&answer) {
            self.line(format_args!("      {line}"))?;
        }
        Ok(answer)
    }

    fn beside(&self, through: &Answer, direct: &Answer) -> anyhow::Result<()> {
        for line in show(through) {
            self.line(format_args!("    candado │ {line}"))?;
        }
        for line in show(direct) {
            self.line(format_args!("    direct  │ {line}"))?;
        }
        Ok(())
    }

    fn heading(&self, text: &str) -> anyhow::Result<()> {
        if self.ended.is_cancelled() {
            bail!("ended");
        }
        self.step.set(self.step.get() + 1);
        self.line(format_args!("\n{}. {text}", self.step.get()))
    }

    fn claim(&self, came_true: bool, text: &str) -> anyhow::Result<()> {
        if came_true {
            return self.line(format_args!("  ✓ {text}"));
        }
        self.broken.set(self.broken.get() + 1);
        self.line(format_args!("  ✗ NOT SO: {text}"))
    }

    fn line(&self, text: impl std::fmt::Display) -> anyhow::Result<()> {
        self.output.line(text)
    }
}

impl Customer {
    /// As the command-line client prints the row.
    fn cells(&self) -> Vec<String> {
        let phone = self.phone.as_deref().unwrap_or("NULL");
        [&self.id.to_string(), &self.name, &self.country, phone, &self.email, &self.address].map(str::to_owned).into()
    }
}

fn insert_statement(person: &Customer) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    format!(
        "INSERT INTO customers (id, name, country, phone, email, address) VALUES ({}, {}, {}, {}, {}, {})",
        person.id,
        quoted(&person.name),
        quoted(&person.country),
        person.phone.as_deref().map_or("NULL".to_owned(), quoted),
        quoted(&person.email),
        quoted(&person.address)
    )
}

/// Tables and accounts, as an administrator would make them.
fn prepare(root: &Client, accounts: &Accounts) -> anyhow::Result<()> {
    root.must(SCHEMA)?;
    let mut sql = String::new();
    for (user, password) in [("candado_proxy", &accounts.control), ("candado_security", &accounts.security)] {
        sql += &format!("ALTER USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL ACCOUNT UNLOCK;\n");
    }
    sql += "CREATE DATABASE shop CHARACTER SET utf8mb4;
        CREATE TABLE shop.customers (
            id INT PRIMARY KEY, name VARCHAR(80) NOT NULL, country VARCHAR(40) NOT NULL,
            phone VARCHAR(24), email VARCHAR(190), address VARCHAR(255));\n";
    for (user, password) in [("shop", &accounts.application), ("engineer", &accounts.engineer)] {
        sql += &format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\n");
        sql += &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO '{user}'@'%';\n");
    }
    root.must(&sql).map(drop)
}

/// Writes the files that an installation has, and reads them as an installation would.
fn settings(folder: &Path, server: &Server, accounts: &Accounts) -> anyhow::Result<Settings> {
    let tls = server.ca.parent().context("the authority's file has no folder")?.display().to_string();
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n\
         [listen.tls]\ncertificate = \"{tls}/server-cert.pem\"\nkey = \"{tls}/server-key.pem\"\n\
         [server]\naddress = \"127.0.0.1:{}\"\n[server.tls]\nca = \"{}\"\n\
         [control]\nuser = \"candado_proxy\"\npassword_file = \"control-password\"\n\
         [keys]\nprovider = \"file\"\npath = \"keys/local.kek\"\n[policy]\npath = \"policy.toml\"\n\
         [log]\nformat = \"json\"\nlevel = \"trace\"\n",
        server.port,
        server.ca.display()
    );
    fs::write(folder.join("control-password"), &accounts.control).context("cannot write a password")?;
    fs::write(folder.join("policy.toml"), POLICY).context("cannot write the policy")?;
    let path = folder.join("candado.toml");
    fs::write(&path, text).context("cannot write the configuration")?;
    Ok(config::load(&path)?)
}

fn load_policy(settings: &Settings) -> anyhow::Result<policy::Policy> {
    let text = fs::read_to_string(&settings.policy).context("cannot read the policy")?;
    Ok(policy::file::parse("policy.toml", &text, 1)?)
}

fn is_envelope(cell: &String) -> bool {
    cell.starts_with("0xC1FE1D01") || cell == "NULL"
}

/// An answer in lines that fit a terminal. Envelopes are shown by their beginning and their length.
fn show(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Error { code, text } => vec![shorten(&format!("ERROR {code}: {text}"), 120)],
        Answer::Rows(rows) if rows.is_empty() => vec!["(no rows)".to_owned()],
        Answer::Rows(rows) => {
            rows.iter().map(|row| row.iter().map(|cell| show_cell(cell)).collect::<Vec<_>>().join(" │ ")).collect()
        }
    }
}

fn show_cell(cell: &str) -> String {
    match cell.strip_prefix("0xC1FE1D") {
        Some(rest) => {
            let start: String = rest.chars().take(14).collect();
            format!("C1FE1D{start}… ({} bytes)", 3 + rest.len() / 2)
        }
        None => cell.to_owned(),
    }
}

fn shorten(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max).chain(['…']).collect()
}
