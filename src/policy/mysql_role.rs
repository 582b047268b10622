//! Roles of the server's own, as `CURRENT_ROLE()` names them.

use std::sync::Arc;

/// A role that an account has active: `name@host` in MySQL, a bare name in MariaDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MysqlRole {
    name: Arc<str>,
    /// `%` where nothing else is said.
    host: Arc<str>,
}

impl MysqlRole {
    /// One as policy names it: `name` or `name@host`. `None`: there is no name.
    pub fn from_policy(written: &str) -> Option<Self> {
        let (name, host) = written.rsplit_once('@').unwrap_or((written, "%"));
        (!name.is_empty() && !host.is_empty()).then(|| Self { name: name.into(), host: host.into() })
    }

    /// All that `CURRENT_ROLE()` gives. MySQL quotes each name and host and puts commas between; MariaDB gives one name as
    /// it is. What cannot be read counts as no role.
    pub fn active(current_role: &str) -> Vec<Self> {
        if !current_role.starts_with('`') {
            let is_none = current_role.is_empty() || current_role == "NONE";
            return if is_none { Vec::new() } else { vec![Self { name: current_role.into(), host: "%".into() }] };
        }
        Self::listed(current_role).unwrap_or_default()
    }

    fn listed(list: &str) -> Option<Vec<Self>> {
        let mut roles = Vec::new();
        let mut rest = list;
        loop {
            let (name, after) = quoted(rest)?;
            let (host, after) = quoted(after.strip_prefix('@')?)?;
            roles.push(Self { name: name.into(), host: host.into() });
            if after.is_empty() {
                return Some(roles);
            }
            rest = after.strip_prefix(',')?;
        }
    }
}

impl std::fmt::Display for MysqlRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.host)
    }
}

/// A name in backticks, and what follows it. A backtick inside is doubled.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('`')?;
    let mut name = String::new();
    loop {
        let (before, after) = rest.split_once('`')?;
        name.push_str(before);
        match after.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(current_role: &str) -> Vec<String> {
        MysqlRole::active(current_role).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn current_role_is_read_as_both_servers_give_it() {
        assert_eq!(active("`reporting`@`%`"), ["reporting@%"]);
        assert_eq!(active("`a``b`@`%`,`c,d`@`10.0.0.%`"), ["a`b@%", "c,d@10.0.0.%"]);
        assert_eq!(active("reporting"), ["reporting@%"]);
        for nothing in ["NONE", "", "`a", "`a`", "`a`@b", "`a`@`%`,", "`a`@`%`x", "`a`@`%`;`b`@`%`"] {
            assert!(active(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn policy_names_a_role_with_or_without_its_host() {
        assert_eq!(MysqlRole::from_policy("reporting"), MysqlRole::active("`reporting`@`%`").pop());
        assert_eq!(MysqlRole::from_policy("a@localhost"), MysqlRole::active("`a`@`localhost`").pop());
        assert_eq!(MysqlRole::from_policy(""), None);
        assert_eq!(MysqlRole::from_policy("@%"), None);
    }
}
