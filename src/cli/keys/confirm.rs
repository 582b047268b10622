//! Asks whether something is meant that cannot be undone. On a terminal it is typed; elsewhere `--confirm` repeats it.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, bail};

use crate::cli::output::note;

/// Succeeds if `expected` was repeated.
pub(super) fn confirm(given: Option<&str>, expected: &str) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    let typed = match given {
        Some(given) => given.to_owned(),
        None if stdin.is_terminal() => {
            note(format_args!("type {expected} to go on, anything else to stop"));
            let mut line = String::new();
            stdin.lock().read_line(&mut line).context("cannot read the answer")?;
            line.trim().to_owned()
        }
        None => bail!("this is not a terminal, so say that it is meant: --confirm {expected}"),
    };
    if typed != expected {
        bail!("`{typed}` is not {expected}; nothing was changed");
    }
    Ok(())
}
