//! `[audit]` as written, and the way from there to the checked settings of [`crate::audit`].

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::events::{WrittenSyslog, syslog};
use super::file::bounded;
use crate::audit::{Mode, Segments, Settings, Sync, Target};
use crate::policy::written::Text;

/// The facility of audit trails, `log audit`.
const FACILITY: u8 = 13;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAudit {
    #[serde(default)]
    mode: WrittenMode,
    key_file: PathBuf,
    file: Option<WrittenSegments>,
    #[serde(default)]
    stdout: bool,
    syslog: Option<WrittenSyslog>,
    queue_max: Option<Spanned<u64>>,
    anchor_s: Option<Spanned<u64>>,
}

impl WrittenAudit {
    /// The file with the key.
    pub(super) fn key_file(&self) -> &Path {
        &self.key_file
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenMode {
    #[default]
    Strict,
    Fast,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSegments {
    path: PathBuf,
    octets_max: Option<Spanned<u64>>,
    #[serde(default)]
    sync: WrittenSync,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenSync {
    #[default]
    Always,
    System,
}

/// How accesses are recorded. Without the section they are not.
pub(super) fn audit(text: &mut Text<'_>, written: Option<Spanned<WrittenAudit>>, folder: &Path) -> Option<Settings> {
    let written = written?;
    let at = written.span();
    let written = written.into_inner();
    let queue_max = bounded(text, "queue_max", &written.queue_max, 10_000, 16, 1_000_000);
    let anchor_s = bounded(text, "anchor_s", &written.anchor_s, 60, 1, 86_400);
    let target = match (written.file, written.stdout, &written.syslog) {
        (Some(file), false, None) => Some(Target::File(Segments {
            path: folder.join(&file.path),
            octets_max: bounded(text, "octets_max", &file.octets_max, 256 << 20, 1 << 12, 1 << 30).into(),
            sync: match file.sync {
                WrittenSync::Always => Sync::Always,
                WrittenSync::System => Sync::System,
            },
        })),
        (None, true, None) => Some(Target::Stdout),
        (None, false, Some(written)) => syslog(text, written, FACILITY).map(Target::Syslog),
        (None, false, None) | (Some(_), _, _) | (_, true, _) => {
            text.wrong(&at, "[audit] needs one of file, stdout = true and syslog");
            None
        }
    };
    Some(Settings {
        mode: match written.mode {
            WrittenMode::Strict => Mode::Strict,
            WrittenMode::Fast => Mode::Fast,
        },
        key_file: folder.join(written.key_file),
        target: target?,
        queue_max: usize::try_from(queue_max).unwrap_or(usize::MAX),
        anchor_s,
    })
}
