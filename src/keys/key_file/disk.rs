//! Reads, creates and replaces the file itself: who may read it, who may replace it, and that it is there after a crash.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::KeyFileError;

/// No key file is larger.
pub(super) const OCTETS_MAX: usize = 64 * 1024;

const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
/// All that a credential's mode may hold.
const CREDENTIAL: u32 = 0o440;

/// Whose file it is, and so who may have which rights on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFilePlace {
    /// It belongs to the user that this program runs as, who alone may read and write it.
    Own,
    /// systemd put it into the credentials directory of the service. It belongs to root or to the user, and nobody may
    /// write it. The group's bit is how the user's own right shows where root is the owner.
    Credential,
}

/// Tells two states of a file apart. A file that was replaced or written has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    octets: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            octets: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// Reads a file that nobody else may read or replace.
pub(super) fn read(path: &Path, place: KeyFilePlace) -> Result<(Zeroizing<Vec<u8>>, Stamp), KeyFileError> {
    let (directory, name) = directory_of(path)?;
    read_in(&directory, name, place)
}

/// The state of the file, without reading it.
pub(super) fn stamp(path: &Path, place: KeyFilePlace) -> Result<Stamp, KeyFileError> {
    let (directory, name) = directory_of(path)?;
    open(&directory, name, place).map(|(_, stamp)| stamp)
}

fn open(directory: &OwnedFd, name: &OsStr, place: KeyFilePlace) -> Result<(OwnedFd, Stamp), KeyFileError> {
    // Not blocking: opening a pipe must not wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = rustix::fs::openat(directory, name, flags, Mode::empty());
    let fd = opened.map_err(|error| match error {
        Errno::LOOP => KeyFileError::NotRegular,
        other => failed("open the key file", other),
    })?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| failed("inspect the key file", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(KeyFileError::NotRegular);
    }
    let (uid, mode) = (stat.st_uid, permissions(stat.st_mode));
    let ours = uid == rustix::process::geteuid().as_raw();
    let (owner, rights) = match place {
        KeyFilePlace::Own => (ours, mode & OTHERS == 0),
        KeyFilePlace::Credential => (ours || uid == 0, mode & !CREDENTIAL == 0),
    };
    match (owner, rights, place) {
        (true, true, _) => Ok((fd, Stamp::of(&stat))),
        (false, _, _) => Err(KeyFileError::Owner { uid }),
        (true, false, KeyFilePlace::Own) => Err(KeyFileError::Mode { mode }),
        (true, false, KeyFilePlace::Credential) => Err(KeyFileError::CredentialMode { mode }),
    }
}

fn read_in(
    directory: &OwnedFd,
    name: &OsStr,
    place: KeyFilePlace,
) -> Result<(Zeroizing<Vec<u8>>, Stamp), KeyFileError> {
    let (fd, stamp) = open(directory, name, place)?;
    let mut text = Zeroizing::new(Vec::with_capacity(OCTETS_MAX));
    // As much as the buffer holds, which therefore never grows and leaves no copy behind.
    let read = File::from(fd).take(OCTETS_MAX as u64).read_to_end(&mut text);
    let length = read.map_err(|error| KeyFileError::Io { doing: "read the key file", error })?;
    if length == OCTETS_MAX { Err(KeyFileError::Content("it is too long")) } else { Ok((text, stamp)) }
}

/// Writes a new file that appears under its name complete or not at all, and never in place of another.
pub(super) fn create(path: &Path, text: &[u8]) -> Result<(), KeyFileError> {
    let (directory, name) = directory_of(path)?;
    put(&directory, name, text, RenameFlags::NOREPLACE)
}

/// Replaces a file by what `change` makes of it. A crash leaves the old file or the new one. Two that replace at the same
/// time wait for each other.
pub(super) fn replace(
    path: &Path,
    change: impl FnOnce(&[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError>,
) -> Result<(), KeyFileError> {
    let (directory, name) = directory_of(path)?;
    // Ends with the descriptor.
    rustix::fs::flock(&directory, FlockOperation::LockExclusive)
        .map_err(|error| failed("lock the key file's directory", error))?;
    let (text, _) = read_in(&directory, name, KeyFilePlace::Own)?;
    put(&directory, name, &change(&text)?, RenameFlags::empty())
}

fn put(directory: &OwnedFd, name: &OsStr, text: &[u8], how: RenameFlags) -> Result<(), KeyFileError> {
    let temporary = format!(".candado-{}", Uuid::new_v4());
    let written = write(directory, &temporary, text).and_then(|()| {
        rustix::fs::renameat_with(directory, &*temporary, directory, name, how).map_err(|error| match error {
            Errno::EXIST => KeyFileError::Exists,
            other => failed("name the key file", other),
        })
    });
    if let Err(error) = written {
        // Whatever stopped us matters more than a leftover that cannot be removed either.
        rustix::fs::unlinkat(directory, &*temporary, AtFlags::empty()).ok();
        return Err(error);
    }
    rustix::fs::fsync(directory).map_err(|error| failed("store the key file's directory", error))
}

fn write(directory: &OwnedFd, name: &str, text: &[u8]) -> Result<(), KeyFileError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| failed("create the key file", error))?;
    let mut file = File::from(fd);
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .map_err(|error| KeyFileError::Io { doing: "write the key file", error })
}

/// Opens the directory, so that what was checked is what is used, and refuses one in which others could replace files.
fn directory_of(path: &Path) -> Result<(OwnedFd, &OsStr), KeyFileError> {
    let name = path.file_name().ok_or(KeyFileError::NoName)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty())
        .map_err(|error| failed("open the key file's directory", error))?;
    let stat = rustix::fs::fstat(&directory).map_err(|error| failed("inspect the key file's directory", error))?;
    let (uid, mode) = (stat.st_uid, permissions(stat.st_mode));
    let trusted_owner = uid == 0 || uid == rustix::process::geteuid().as_raw();
    if !trusted_owner || mode & OTHERS_WRITE != 0 {
        return Err(KeyFileError::Directory { uid, mode });
    }
    Ok((directory, name))
}

fn permissions(raw: rustix::fs::RawMode) -> u32 {
    Mode::from_raw_mode(raw).as_raw_mode()
}

fn failed(doing: &'static str, error: Errno) -> KeyFileError {
    KeyFileError::Io { doing, error: io::Error::from(error) }
}
