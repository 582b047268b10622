//! A file of JSON lines that makes room for another one when it has grown, and is opened again after SIGHUP.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::SinkError;
use crate::events::{Event, FileSettings};

/// Of no effect on a file.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// The file.
#[derive(Debug)]
pub(in crate::events) struct File {
    settings: FileSettings,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    octets: u64,
}

impl File {
    /// Opens nothing yet.
    pub(in crate::events) fn new(settings: FileSettings) -> Self {
        Self { settings, open: None }
    }

    /// The next event goes to whatever bears the name then.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Writes a line for each; a failure leaves none of them.
    pub(super) async fn deliver(&mut self, batch: &[Arc<Event>]) -> Result<(), SinkError> {
        let mut lines = Vec::new();
        for event in batch {
            event.line(&mut lines);
        }
        let (settings, open) = (self.settings.clone(), self.open.take());
        // A disk may take its time; the runtime's threads serve clients.
        let written = tokio::task::spawn_blocking(move || write(&settings, open, &lines)).await;
        match written {
            Ok(Ok(open)) => {
                self.open = Some(open);
                Ok(())
            }
            Ok(Err(error)) => Err(SinkError::passing(&error)),
            Err(error) => Err(SinkError::passing(&error)),
        }
    }
}

fn write(settings: &FileSettings, open: Option<Open>, lines: &[u8]) -> io::Result<Open> {
    let octets = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut open = match open {
        Some(open) => open,
        None => self::open(settings)?,
    };
    if open.octets > 0 && open.octets.saturating_add(octets) > settings.octets_max {
        rotate(settings)?;
        open = self::open(settings)?;
    }
    if let Err(error) = open.file.write_all(lines) {
        // Half a line would hide the next one.
        open.file.set_len(open.octets)?;
        return Err(error);
    }
    open.octets = open.octets.saturating_add(octets);
    Ok(open)
}

fn open(settings: &FileSettings) -> io::Result<Open> {
    let mut options = fs::OpenOptions::new();
    // A pipe that nobody reads would be waited for, and the process's end with it.
    options.create(true).append(true).mode(0o600).custom_flags(NONBLOCK);
    let file = options.open(&settings.path)?;
    let octets = file.metadata()?.len();
    Ok(Open { file, octets })
}

fn rotate(settings: &FileSettings) -> io::Result<()> {
    if settings.files_max == 0 {
        return fs::remove_file(&settings.path);
    }
    for number in (1..settings.files_max).rev() {
        let older = numbered(settings, number);
        if older.exists() {
            fs::rename(older, numbered(settings, number + 1))?;
        }
    }
    fs::rename(&settings.path, numbered(settings, 1))
}

fn numbered(settings: &FileSettings, number: u32) -> PathBuf {
    let mut name = OsString::from(&settings.path);
    name.push(format!(".{number}"));
    name.into()
}
