//! The private database server and the sample customers, by the same scripts that the tests use. They are part of the
//! program, so the demo needs no source tree.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::super::output::note;
use super::Kind;

const SCRIPTS: [(&str, &str); 4] = [
    ("samples.py", include_str!("../../../tests/support/samples.py")),
    ("lib.sh", include_str!("../../../tests/support/lib.sh")),
    ("setup.sh", include_str!("../../../tests/support/setup.sh")),
    ("server.sh", include_str!("../../../tests/support/server.sh")),
];

/// A running private server. Ends with the value.
#[derive(Debug)]
pub(super) struct Server {
    scripts: PathBuf,
    folder: PathBuf,
    /// TCP port on 127.0.0.1.
    pub(super) port: u16,
    /// `mysql` or `mariadb`.
    pub(super) kind: String,
    /// As the server tells it.
    pub(super) version: String,
    /// Folder with the server's command-line client.
    pub(super) programs: PathBuf,
    /// Authority of the server's certificate; certificate and key for 127.0.0.1 stand beside it.
    pub(super) ca: PathBuf,
    /// Where its rows are.
    pub(super) data: PathBuf,
}

/// A customer of the Chinook sample database.
#[derive(Debug, Deserialize)]
pub(super) struct Customer {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) country: String,
    pub(super) phone: Option<String>,
    pub(super) email: String,
    pub(super) address: String,
}

/// Writes the scripts into a folder.
pub(super) fn unpack(folder: &Path) -> anyhow::Result<PathBuf> {
    let scripts = folder.join("support");
    fs::create_dir(&scripts).context("cannot make a folder for scripts")?;
    for (name, text) in SCRIPTS {
        let path = scripts.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("cannot make a script executable")?;
    }
    Ok(scripts)
}

/// Reads the sample customers; fetches them first if they are not in the cache.
pub(super) fn customers(scripts: &Path) -> anyhow::Result<Vec<Customer>> {
    run(scripts, "setup.sh", &["samples".as_ref()]).context("the sample customers cannot be had")?;
    let path = cache()?.join("samples/customers.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).context("the sample customers are not in form")
}

/// The scripts' cache, found as they find it.
fn cache() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("CANDADO_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("candado")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/candado")))
        .context("neither CANDADO_CACHE nor HOME is set")
}

/// Starts a server of the wanted kind in a folder of its own.
pub(super) fn start(scripts: &Path, folder: &Path, kind: Kind) -> anyhow::Result<Server> {
    match kind {
        Kind::Mysql => launch(scripts, folder, "mysql"),
        Kind::Mariadb => launch(scripts, folder, "mariadb"),
        Kind::Auto => launch(scripts, folder, "mysql").or_else(|error| {
            note(format_args!("{error:#}; taking MariaDB instead"));
            launch(scripts, folder, "mariadb")
        }),
    }
}

fn launch(scripts: &Path, folder: &Path, kind: &str) -> anyhow::Result<Server> {
    run(scripts, "setup.sh", &[kind.as_ref()]).with_context(|| format!("no {kind} server can be had here"))?;
    let folder = folder.join(kind);
    let parent = std::process::id().to_string();
    let arguments = ["start".as_ref(), kind.as_ref(), folder.as_os_str(), "--parent".as_ref(), parent.as_ref()];
    let facts = run(scripts, "server.sh", &arguments).with_context(|| format!("no {kind} server can be started"))?;
    let fact = |name: &str| {
        facts
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .with_context(|| format!("server.sh did not tell {name}"))
    };
    Ok(Server {
        port: fact("PORT")?.parse().context("server.sh told a port that is no number")?,
        kind: kind.to_owned(),
        version: fact("VERSION")?.to_owned(),
        programs: fact("BIN")?.into(),
        ca: fact("CA")?.into(),
        data: fact("DATADIR")?.into(),
        scripts: scripts.to_owned(),
        folder,
    })
}

/// Runs a script and returns what it printed. It has its own process group: Ctrl-C must not tear a start in the middle.
fn run(scripts: &Path, name: &str, arguments: &[&OsStr]) -> anyhow::Result<String> {
    let done = Command::new(scripts.join(name))
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !done.status.success() {
        bail!("{}", String::from_utf8(done.stderr).unwrap_or_default().trim_end());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{name} printed something that is not UTF-8"))
}

impl Server {
    /// The product's name with its version.
    pub(super) fn title(&self) -> String {
        let product = if self.kind == "mysql" { "MySQL" } else { "MariaDB" };
        let number = self.version.split('-').next().unwrap_or_default();
        format!("{product} {number}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its rows are about to be deleted: there is nothing to end in good order.
        if run(&self.scripts, "server.sh", &["kill".as_ref(), self.folder.as_os_str()]).is_err() {
            note("the private server could not be ended; its watchdog will do it");
        }
    }
}
