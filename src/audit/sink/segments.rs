//! Segments of a file. The one that is written has the configured name; a full one is renamed to `name.000001` and so on,
//! and its successor begins with the code of its last record. None is ever deleted.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Chain, Identity, Line, Place, Sink, fresh, new_chain, put_all};
use crate::audit::chain::Mark;
use crate::audit::line::{Head, MAGIC, Parsed};
use crate::audit::{AuditError, ProxyKey, Segments, Sync};

/// The end of a file that is read to go on behind it; no two lines are longer.
const TAIL_OCTETS: u64 = 4 << 20;
/// Digits of a segment's number in its file's name.
const DIGITS: usize = 6;

/// The segment that is written.
#[derive(Debug)]
pub(super) struct File {
    settings: Segments,
    open: Option<Open>,
    /// Keeps other processes away as long as it is open.
    _lock: fs::File,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    octets: u64,
    inode: u64,
}

/// What a file ends with.
struct Tail {
    head: Head,
    /// The last record; `None` if its code does not fit.
    mark: Option<Mark>,
    /// The code that the last record has, right or not.
    last: Mark,
}

/// Goes on behind the newest segment, or begins a record.
pub(super) fn open(settings: Segments, key: ProxyKey) -> Result<Sink, AuditError> {
    let path = settings.path.clone();
    let failed = |source| AuditError::File { path: path.clone(), source };
    let lock = lock(&path)?;
    let is_current = Current::of(&path).map_err(failed)? == Current::Filled;
    let newest = if is_current { Some(path.clone()) } else { newest(&path).map_err(failed)?.map(|(_, path)| path) };
    let Some(newest) = newest else {
        return fresh(key, Place::File(File { settings, open: None, _lock: lock }));
    };
    let other = || AuditError::OtherEnd { path: newest.clone() };
    let tail = tail(&newest, &key).map_err(failed)?.ok_or_else(other)?;
    let ProxyKey { deployment, kid, name, key } = key;
    let (mut chain_id, mut segment, mut mark) = (tail.head.chain, tail.head.segment, tail.mark);
    if (&tail.head.deployment, &tail.head.name) != (&deployment, &name) {
        // Another proxy's record, which stays as it is.
        (chain_id, segment, mark) = (new_chain()?, 0, Some(Mark { seq: 0, mac: super::NOTHING_BEFORE }));
    } else if tail.head.kid != kid {
        // The audit key was replaced: the new access key cannot tell whether the old one's codes are right.
        mark = Some(tail.last);
    }
    let goes_on = is_current && tail.head.kid == kid && tail.head.name == name && tail.head.deployment == deployment;
    let mark = mark.ok_or_else(other)?;
    let mut file = File { settings, open: None, _lock: lock };
    if goes_on {
        file.open = Some(file.resume().map_err(failed)?);
    }
    let identity = Identity { deployment, kid, name, chain: chain_id, segment };
    Ok(Sink { identity, chain: Chain::behind(key, mark), place: Place::File(file) })
}

/// Two processes that wrote one file would break its chain. The lock has a name that no pattern for segments takes.
fn lock(path: &Path) -> Result<fs::File, AuditError> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    let name = path.with_file_name(name);
    let failed = |source| AuditError::File { path: name.clone(), source };
    let options = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&name);
    let file = options.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(AuditError::InUse { path: path.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl File {
    /// Writes lines, all or none.
    pub(super) fn write(
        &mut self,
        identity: &mut Identity,
        chain: &mut Chain,
        lines: &[Line],
        at: &str,
    ) -> io::Result<()> {
        let before = chain.mark();
        let segment = identity.segment;
        let written = self.try_write(identity, chain, lines, at);
        if written.is_err() {
            chain.put_back(before);
            if self.open.is_none() {
                identity.segment = segment;
            }
        }
        written
    }

    fn try_write(&mut self, identity: &mut Identity, chain: &mut Chain, lines: &[Line], at: &str) -> io::Result<()> {
        let full = |open: &Open| open.octets >= self.settings.octets_max;
        let mut bytes = Vec::new();
        let open = match self.open.take() {
            Some(open) if !full(&open) && is_inode(&self.settings.path, open.inode) => open,
            rest => {
                if let Some(open) = rest {
                    open.file.sync_data()?;
                }
                let open = self.next()?;
                if chain.mark().seq > 0 || identity.segment == 0 {
                    identity.segment = identity.segment.saturating_add(1);
                }
                bytes = put_all(chain, &[identity.head(chain.mark())], at);
                open
            }
        };
        bytes.extend(put_all(chain, lines, at));
        self.append(open, &bytes)
    }

    /// Appends bytes. After a failure the file is as long as before, or given up.
    fn append(&mut self, mut open: Open, bytes: &[u8]) -> io::Result<()> {
        let synced = match self.settings.sync {
            Sync::Always => open.file.write_all(bytes).and_then(|()| open.file.sync_data()),
            Sync::System => open.file.write_all(bytes),
        };
        if let Err(error) = synced {
            // Half a line would hide the next one. A file that was empty is begun anew.
            if open.file.set_len(open.octets).is_ok() && open.octets > 0 {
                self.open = Some(open);
            }
            return Err(error);
        }
        open.octets = open.octets.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.open = Some(open);
        Ok(())
    }

    /// Moves the current file away, if there is one, and makes another.
    fn next(&self) -> io::Result<Open> {
        let path = &self.settings.path;
        let current = Current::of(path)?;
        if current == Current::Filled {
            put_away(path)?;
        }
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        if current == Current::Fragment {
            file.set_len(0)?;
        }
        if self.settings.sync == Sync::Always
            && let Some(folder) = path.parent()
        {
            // The name lasts only with the folder.
            fs::File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
        }
        let inode = file.metadata()?.ino();
        Ok(Open { file, octets: 0, inode })
    }

    /// Opens the current file behind its last whole line: what follows was cut off by the process's end.
    fn resume(&self) -> io::Result<Open> {
        let file = fs::OpenOptions::new().append(true).read(true).open(&self.settings.path)?;
        let metadata = file.metadata()?;
        let (_, end) = last_lines(&file, metadata.len())?;
        if end < metadata.len() {
            file.set_len(end)?;
        }
        Ok(Open { file, octets: end, inode: metadata.ino() })
    }
}

/// What has the configured name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    /// Nothing, or an empty file.
    Nothing,
    /// The beginning of a head: the process ended while it wrote the first line.
    Fragment,
    /// A segment, or something else that stays as it is.
    Filled,
}

impl Current {
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                // Opening a pipe waits for its reader.
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
            }
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Ok(Self::Nothing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        }
        let first = first_line(path)?;
        let is_head = first.starts_with(MAGIC) || MAGIC.starts_with(&first);
        Ok(if is_head && !first.ends_with(b"\n") { Self::Fragment } else { Self::Filled })
    }
}

/// The first line, with its line feed if it has one.
fn first_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    BufReader::new(fs::File::open(path)?).take(TAIL_OCTETS).read_until(b'\n', &mut first)?;
    Ok(first)
}

/// Gives the current segment its number: its own, or a higher one if files with higher ones are there. Older ones may be
/// in an archive under the lower ones.
fn put_away(path: &Path) -> io::Result<()> {
    let first = first_line(path)?;
    let head = first.strip_suffix(b"\n").and_then(Parsed::read).and_then(|parsed| parsed.head());
    let own = head.map_or(1, |head| head.segment);
    let number = newest(path)?.map_or(own, |(number, _)| own.max(number.saturating_add(1)));
    let mut name = OsString::from(path);
    name.push(format!(".{number:0DIGITS$}"));
    let name = PathBuf::from(name);
    if fs::symlink_metadata(&name).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(path, name)
}

fn is_inode(path: &Path, inode: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.ino() == inode)
}

/// The full segment with the highest number.
fn newest(path: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|other| {
            let digits = other.strip_prefix(name)?.strip_prefix('.')?;
            (digits.len() >= DIGITS).then(|| digits.parse::<u64>().ok())?
        });
        if let Some(number) = number {
            newest = newest.max(Some((number, entry.path())));
        }
    }
    Ok(newest)
}

/// The last bytes up to the last line feed, and where that ends.
fn last_lines(mut file: &fs::File, length: u64) -> io::Result<(Vec<u8>, u64)> {
    let from = length.saturating_sub(TAIL_OCTETS);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_OCTETS).read_to_end(&mut bytes)?;
    let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at.saturating_add(1));
    bytes.truncate(whole);
    Ok((bytes, from.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX))))
}

/// Reads a file's head and its end. `None` if it is no such file.
fn tail(path: &Path, key: &ProxyKey) -> io::Result<Option<Tail>> {
    let file = fs::File::open(path)?;
    let first = first_line(path)?;
    let (bytes, _) = last_lines(&file, file.metadata()?.len())?;
    let read = || {
        let head = Parsed::read(first.strip_suffix(b"\n")?)?.head()?;
        let mut lines = bytes.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n');
        let last = Parsed::read(lines.next()?)?;
        let before = match last.kind {
            b'h' => head.before,
            _ => Parsed::read(lines.next()?)?.code()?,
        };
        let mac = last.code()?;
        let mark = Mark { seq: last.seq, mac };
        let fits = key.key.is_mac(&before, last.signed.as_bytes(), &mac);
        Some(Tail { head, mark: fits.then_some(mark), last: mark })
    };
    Ok(read())
}
