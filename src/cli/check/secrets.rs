//! Files with secrets that others than their owner may read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Report, Verdict};
use crate::config::Settings;

const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;

impl Report {
    /// The key file is not asked about here: it is not used at all if others may read it.
    pub(super) fn secret_files(&mut self, settings: &Settings) {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
        for (setting, path) in &settings.secret_files {
            // A file that is not there is found by whoever needs it.
            let Ok(metadata) = fs::metadata(path) else { continue };
            let mode = metadata.mode() & 0o7777;
            // The group's bit of a systemd credential is how the user's own right shows where root is the owner.
            let is_credential = credentials.as_ref().is_some_and(|folder| path.starts_with(Path::new(folder)));
            let readers = if is_credential { OTHERS_READ } else { GROUP_READS | OTHERS_READ };
            if mode & readers != 0 {
                let path = path.display();
                let text =
                    format!("{setting}: others may read {path} (mode {mode:o}); its owner alone should: chmod 600");
                self.add("configuration", Verdict::Warning, text);
            }
        }
    }
}
