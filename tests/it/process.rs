//! What the running program asks of the system: nobody can dump or read its memory, it gains no privileges, and its keys
//! stay out of swap and out of the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use candado::app::process::may_lock_memory;

use crate::support::block_on;
use crate::support::proxy::{Deployment, Proxy, Tls, ended, text, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, text as query};

/// Drops these capabilities for a command, if there are any to drop.
const WITHOUT: &str = "-sys_ptrace,-ipc_lock";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command without the capabilities that would let it look into or lock everything.
fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", WITHOUT, "--inh-caps", WITHOUT, "--"]).arg(program);
    command
}

fn proc(id: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{id}/{file}")).unwrap()
}

/// The value of a line of `/proc/PID/status`.
fn status(id: u32, name: &str) -> String {
    let status = proc(id, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    line.trim().to_owned()
}

#[test]
fn a_running_proxy_dumps_no_core_and_gains_no_privileges() {
    let proxy = Proxy::start(Deployment::shared(Kind::MySql), &policy("it_nothing"), Tls::Off);
    let limits = proc(proxy.id(), "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(status(proxy.id(), "NoNewPrivs"), "1");
    let locked = status(proxy.id(), "VmLck");
    assert_eq!(locked != "0 kB", may_lock_memory(), "{locked}");
    let swap = proxy.events().iter().any(|event| event["message"].as_str().is_some_and(|m| m.contains("swap")));
    assert_eq!(swap, !may_lock_memory());
}

/// A program that waits for its standard input, or `candado serve`; ended with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn serve(command: &mut Command, config: &Path, log: &Path) -> Running {
    let log = fs::File::create(log).unwrap();
    let child = command.args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Running(child.spawn().unwrap())
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_candado")
}

fn configured(folder: &Path, more: &str) -> PathBuf {
    let config = Deployment::shared(Kind::MySql).write(folder, &policy("it_nothing"), Tls::Off);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}{more}")).unwrap();
    config
}

#[test]
fn another_process_of_the_same_user_cannot_look_inside() {
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), "");
    let log = folder.path().join("log");
    let proxy = serve(&mut unprivileged(program()), &config, &log);
    wait_until("the proxy listens", || fs::read_to_string(&log).unwrap().contains("listening"));
    // Asks the same question of the system as a debugger does.
    let looks = |id: u32| {
        let output = unprivileged("readlink").arg(format!("/proc/{id}/fd/0")).output().unwrap();
        (output.status.success(), text(&output.stdout))
    };
    // The same look at a process that does not mind succeeds.
    let open = Running(unprivileged("cat").stdin(Stdio::piped()).spawn().unwrap());
    wait_until("the other process runs", || status(open.0.id(), "Name") == "cat");
    let (seen, what) = looks(open.0.id());
    assert!(seen && what.starts_with("pipe:"), "{what}");
    assert_eq!(looks(proxy.0.id()), (false, String::new()));
}

#[test]
fn locked_memory_can_be_demanded() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // As `unprivileged`, under a limit that does not hold a process.
    let limited = || {
        let mut command = unprivileged("sh");
        command.args(["-c", "ulimit -l 64; exec \"$0\" \"$@\"", program()]);
        command
    };
    let demanding = configured(folder.path(), "[process]\nrequire_mlock = true\n");
    let output = ended(limited().args(["serve", "--config"]).arg(&demanding));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("memory cannot be locked"), "{}", text(&output.stderr));
    let check = ended(limited().args(["check", "--json", "--config"]).arg(&demanding));
    assert!(text(&check.stdout).contains("which process.require_mlock demands"), "{}", text(&check.stdout));
    // Where it is not demanded, a warning says so.
    let config = configured(folder.path(), "");
    let proxy = serve(&mut limited(), &config, &log);
    wait_until("the proxy listens", || fs::read_to_string(&log).unwrap().contains("listening"));
    assert!(fs::read_to_string(&log).unwrap().contains("keys may be written to swap"));
    assert_eq!(status(proxy.0.id(), "VmLck"), "0 kB");
    drop(proxy);
    // Demanded and allowed.
    if may_lock_memory() {
        let demanding = configured(folder.path(), "[process]\nrequire_mlock = true\n");
        let proxy = serve(&mut Command::new(program()), &demanding, &log);
        wait_until("the proxy listens", || fs::read_to_string(&log).unwrap().contains("listening"));
        assert_ne!(status(proxy.0.id(), "VmLck"), "0 kB");
    }
}

#[test]
fn the_key_encryption_key_is_not_in_the_log() {
    let deployment = Deployment::shared(Kind::MySql);
    let shop = Shop::open_on(deployment, Tls::Off);
    block_on(async {
        let mut conn = shop.connect(Who::Application).await;
        let written = query(&mut conn, "INSERT INTO customers (id, note) VALUES (1, 'secret')").await;
        assert!(matches!(written, Answer::Done { .. }), "{written:?}");
    });
    let file: serde_json::Value = serde_json::from_slice(&fs::read(deployment.key_file()).unwrap()).unwrap();
    let base64 = file["versions"][0]["key"].as_str().unwrap();
    let key = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    wait_until("the log at its most talkative", || shop.proxy.log().contains("connection ended"));
    let log = shop.proxy.log();
    for spelling in [base64, &data_encoding::HEXLOWER.encode(&key), &data_encoding::HEXUPPER.encode(&key)] {
        assert!(!log.contains(spelling));
    }
}
