//! The person at this machine, for the record of acts: as the system knows him, not as the environment says.

use std::path::Path;

/// The longest name that is recorded.
const NAME_CHARS_MAX: usize = 64;

/// The name of the user that runs this process, such as `ana`; `uid 1000` if it has none. Somebody who became root by
/// sudo is `root for ana`: sudo sets that name, and root could set it too, but root could do anything.
pub fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let accounts = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let name = name_of(&accounts, uid).unwrap_or_else(|| format!("uid {uid}"));
    match std::env::var("SUDO_USER") {
        Ok(person) if uid == 0 && is_name(&person) => format!("{name} for {person}"),
        Ok(_) | Err(_) => name,
    }
}

/// The name of a user id in the text of /etc/passwd.
fn name_of(accounts: &str, uid: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && is_name(name)).then(|| name.to_owned())
    })
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && !text.chars().any(|letter| letter.is_control() || letter == ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_accounts_of_the_system() {
        let accounts =
            "root:x:0:0:root:/root:/bin/bash\nbroken\nana:x:1000:1000::/home/ana:/bin/sh\n:x:7:7::/:/bin/sh\n";
        assert_eq!(name_of(accounts, 1000).as_deref(), Some("ana"));
        assert_eq!(name_of(accounts, 0).as_deref(), Some("root"));
        assert_eq!(name_of(accounts, 7), None, "an empty name");
        assert_eq!(name_of(accounts, 8), None);
        assert!(!is_name("a\nb") && !is_name(&"a".repeat(65)));
    }
}
