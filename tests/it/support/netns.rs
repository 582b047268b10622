//! Network namespaces: a replica in a network of its own, with one link to the database server and one to its clients,
//! so that either can be cut. Needs root and iproute2 (`tests/support/setup.sh netns`); without them the test fails and
//! says so.

use std::process::Command;

/// A namespace with two links to the namespace of the test.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    number: u8,
}

impl Namespace {
    /// Makes one. `number` tells the namespaces of a test process apart.
    pub(crate) fn new(number: u8) -> Self {
        let namespace = Self { name: format!("candado-it-{}-{number}", std::process::id()), number };
        // One that an earlier process of the same id left behind.
        drop(Command::new("ip").args(["netns", "delete", &namespace.name]).output());
        ip(&["netns", "add", &namespace.name]);
        for (link, outside, inside) in
            [("s", namespace.address(1), namespace.address(2)), ("c", namespace.address(5), namespace.address(6))]
        {
            let outer = namespace.link(link);
            ip(&["link", "add", &outer, "type", "veth", "peer", "name", link, "netns", &namespace.name]);
            ip(&["address", "add", &format!("{outside}/30"), "dev", &outer]);
            ip(&["link", "set", &outer, "up"]);
            ip(&["-n", &namespace.name, "address", "add", &format!("{inside}/30"), "dev", link]);
            ip(&["-n", &namespace.name, "link", "set", link, "up"]);
        }
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"]);
        namespace
    }

    /// Where clients reach what listens inside.
    pub(crate) fn client_facing(&self) -> String {
        self.address(6)
    }

    /// Where the database server is, seen from inside.
    pub(crate) fn server(&self) -> String {
        self.address(1)
    }

    /// Cuts the link to the database server.
    pub(crate) fn cut(&self) {
        ip(&["link", "set", &self.link("s"), "down"]);
    }

    /// Mends it.
    pub(crate) fn mend(&self) {
        ip(&["link", "set", &self.link("s"), "up"]);
    }

    /// The same command inside. It becomes the process that `ip` starts as.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    fn link(&self, link: &str) -> String {
        format!("cd{}{link}{}", std::process::id(), self.number)
    }

    /// Addresses for tests of networks (RFC 2544), four for each link.
    fn address(&self, host: u8) -> String {
        format!("198.18.{}.{}", std::process::id() % 256, self.number * 8 + host)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its links go with it. Processes inside keep it until they end.
        drop(Command::new("ip").args(["link", "delete", &self.link("s")]).output());
        drop(Command::new("ip").args(["link", "delete", &self.link("c")]).output());
        drop(Command::new("ip").args(["netns", "delete", &self.name]).output());
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.expect("`ip` runs: install iproute2 (tests/support/setup.sh netns)");
    assert!(
        output.status.success(),
        "ip {}: {}network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)",
        arguments.join(" "),
        String::from_utf8(output.stderr).expect("UTF-8")
    );
}
