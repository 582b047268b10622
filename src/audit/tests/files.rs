//! Files that are gone on with, segments, and what waits for the writer.

use std::path::{Path, PathBuf};

use super::super::queue::{Job, Limits};
use super::*;
use crate::events::{SyslogSettings, SyslogTransport};

/// A record in a folder, with whoever writes it.
struct Desk {
    folder: tempfile::TempDir,
    kid: u32,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), kid: 1 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("accesses.log")
    }

    fn settings(&self, octets_max: u64) -> Settings {
        let key_file = self.folder.path().join("access.key");
        fs::write(&key_file, proxy_key(self.kid, "proxy-1").to_be_written().as_bytes()).unwrap();
        let target = Target::File(Segments { path: self.path(), octets_max, sync: Sync::System });
        Settings { mode: Mode::Fast, key_file, target, queue_max: 16, anchor_s: 60 }
    }

    fn begin(&self, octets_max: u64) -> (Audit, Writer) {
        let (audit, writer, _) = Audit::begin(&self.settings(octets_max)).unwrap();
        (audit, writer)
    }

    /// All files, oldest first, as they verify.
    fn verdict(&self) -> Verdict {
        verify(
            self.files().into_iter().map(|path| {
                let text = fs::read(&path);
                (path.file_name().unwrap().to_str().unwrap().to_owned(), text.map(Cursor::new))
            }),
            any_key,
            &mut NoAnchors,
            &PutAway::default(),
        )
        .unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut full: Vec<_> = entries.filter(|path| is_full(path)).collect();
        full.sort();
        full.extend(self.path().exists().then(|| self.path()));
        full
    }
}

fn is_full(path: &Path) -> bool {
    path.to_str().unwrap().contains("accesses.log.0")
}

fn jobs(users: &[&str]) -> Vec<Job> {
    users.iter().map(|user| Job { disclosure: Some(Box::new(disclosure(user, 1))), written: None }).collect()
}

#[test]
fn a_record_goes_on_after_restarts_and_through_segments() {
    let desk = Desk::new();
    for start in 1..=3_u64 {
        let (_, mut writer) = desk.begin(2_000);
        for _ in 0..10 {
            writer.write(jobs(&["ana", "ben"]));
        }
        let verdict = desk.verdict();
        assert_eq!(verdict.found, []);
        assert_eq!((verdict.accesses, verdict.chains.len()), (start * 20, 1));
    }
    assert!(desk.files().len() > 5, "{:?}", desk.files());
    // What the end of the process cut off is no record; everything before it stands.
    let whole = fs::read(desk.path()).unwrap();
    fs::write(desk.path(), [&whole[..], b"a\t99\t2026"].concat()).unwrap();
    let (_, mut writer) = desk.begin(2_000);
    writer.write(jobs(&["eve"]));
    drop(writer);
    assert_eq!((desk.verdict().found, desk.verdict().accesses), (vec![], 61));
    // The current segment was moved just before the end.
    let last = desk.files().len();
    fs::rename(desk.path(), desk.folder.path().join(format!("accesses.log.{last:06}"))).unwrap();
    let (_, mut writer) = desk.begin(2_000);
    writer.write(jobs(&["eve"]));
    assert_eq!((desk.verdict().found, desk.verdict().accesses, desk.verdict().chains.len()), (vec![], 62, 1));
}

#[test]
fn an_end_that_somebody_changed_is_not_gone_on_with() {
    let desk = Desk::new();
    let (_, mut writer) = desk.begin(1 << 20);
    writer.write(jobs(&["ana", "ben"]));
    drop(writer);
    let text = fs::read_to_string(desk.path()).unwrap();
    fs::write(desk.path(), text.replace("ben@", "bob@")).unwrap();
    let refused = Audit::begin(&desk.settings(1 << 20)).err();
    assert!(matches!(refused, Some(AuditError::OtherEnd { .. })), "{refused:?}");
    fs::write(desk.path(), "something else\n").unwrap();
    assert!(matches!(Audit::begin(&desk.settings(1 << 20)).err(), Some(AuditError::OtherEnd { .. })));
}

#[test]
fn another_audit_key_begins_a_segment_of_the_same_chain() {
    let mut desk = Desk::new();
    let (_, mut writer) = desk.begin(1 << 20);
    writer.write(jobs(&["ana"]));
    drop(writer);
    desk.kid = 2;
    let (_, mut writer) = desk.begin(1 << 20);
    writer.write(jobs(&["ana"]));
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.chains.len(), desk.files().len()), (vec![], 2, 1, 2));
}

#[test]
fn what_finds_no_room_is_a_gap() {
    let desk = Desk::new();
    let (audit, writer) = desk.begin(1 << 20);
    for _ in 0..20 {
        audit.leave(disclosure("ana", 1));
    }
    assert_eq!(audit.counters().totals(), Totals { written: 0, lost: 4, failures: 0 });
    let counters = audit.counters().clone();
    drop(audit);
    writer.run();
    assert_eq!(counters.totals(), Totals { written: 16, lost: 4, failures: 0 });
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.lost), (vec![], 16, 4));
}

#[test]
fn what_cannot_be_written_is_a_gap_later() {
    let desk = Desk::new();
    let (audit, mut writer) = desk.begin(1 << 20);
    writer.write(jobs(&["ana"]));
    let (away, here) = (desk.folder.path().with_extension("away"), desk.folder.path());
    fs::rename(here, &away).unwrap();
    writer.write(jobs(&["ben", "eve"]));
    writer.write(jobs(&["ben"]));
    assert_eq!(audit.counters().totals(), Totals { written: 1, lost: 3, failures: 2 });
    fs::rename(&away, here).unwrap();
    writer.write(jobs(&["ana"]));
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.lost), (vec![], 2, 3));
}

#[test]
fn segments_keep_their_numbers_when_older_ones_are_in_an_archive() {
    let desk = Desk::new();
    let archive = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let (_, mut writer) = desk.begin(2_000);
        for _ in 0..10 {
            writer.write(jobs(&["ana", "ben"]));
        }
        for path in desk.files().into_iter().filter(|path| is_full(path)) {
            let to = archive.path().join(path.file_name().unwrap());
            assert!(!to.exists(), "{to:?} is there");
            fs::rename(path, to).unwrap();
        }
    }
    for entry in fs::read_dir(archive.path()).unwrap().map(Result::unwrap) {
        fs::rename(entry.path(), desk.folder.path().join(entry.file_name())).unwrap();
    }
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.chains.len()), (vec![], 60, 1));
    assert!(desk.folder.path().join("accesses.log.000001").exists());
}

#[test]
fn the_beginning_of_a_head_is_written_over() {
    let desk = Desk::new();
    fs::write(desk.path(), "h\t1\t2026-03").unwrap();
    let (_, mut writer) = desk.begin(500);
    writer.write(jobs(&["ana"]));
    writer.write(jobs(&["ben"]));
    drop(writer);
    // The current segment's name went to another number just before the next one had its first line.
    let last = desk.files().len();
    fs::rename(desk.path(), desk.folder.path().join(format!("accesses.log.{last:06}"))).unwrap();
    fs::write(desk.path(), "h").unwrap();
    let (_, mut writer) = desk.begin(500);
    writer.write(jobs(&["eve"]));
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.chains.len()), (vec![], 3, 1));
    // What is no head is somebody else's.
    let other = Desk::new();
    fs::write(other.path(), "something else").unwrap();
    let refused = Audit::begin(&other.settings(500)).err();
    assert!(matches!(refused, Some(AuditError::OtherEnd { .. })), "{refused:?}");
    assert_eq!(fs::read(other.path()).unwrap(), b"something else");
}

#[test]
fn one_process_writes_a_file() {
    let desk = Desk::new();
    let (_, writer) = desk.begin(1 << 20);
    let refused = Audit::begin(&desk.settings(1 << 20)).err();
    assert!(matches!(refused, Some(AuditError::InUse { .. })), "{refused:?}");
    drop(writer);
    desk.begin(1 << 20);
    assert_eq!(desk.verdict().found, []);
}

#[tokio::test]
async fn what_waits_for_a_place_in_vain_is_counted() {
    let desk = Desk::new();
    let settings = Settings { mode: Mode::Strict, queue_max: 1, ..desk.settings(1 << 20) };
    let (audit, mut writer, _) = Audit::begin(&settings).unwrap();
    audit.leave(disclosure("ana", 1));
    {
        // Its client goes while it waits.
        let mut given_up = std::pin::pin!(audit.record(disclosure("ben", 1)));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await);
        assert_eq!(audit.counters().totals().lost, 0);
    }
    assert_eq!(audit.counters().totals().lost, 1);
    writer.write(jobs(&[]));
    // One that the writer has is the writer's, whoever waits for it.
    drop(writer);
    assert_eq!(audit.record(disclosure("eve", 1)).await, Err(NotRecorded));
    assert_eq!(audit.counters().totals().lost, 2);
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.lost), (vec![], 1));
}

#[test]
fn syslog_gets_a_record_in_each_datagram() {
    let desk = Desk::new();
    let path = desk.folder.path().join("log");
    let daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let target = Target::Syslog(SyslogSettings { transport: SyslogTransport::Unix(path), facility: 13 });
    let (_, mut writer, _) = Audit::begin(&Settings { target, ..desk.settings(0) }).unwrap();
    writer.write(jobs(&["ana", "ben"]));
    let mut lines = String::new();
    for _ in 0..4 {
        let mut bytes = [0; 2048];
        let length = daemon.recv(&mut bytes).unwrap();
        let message = std::str::from_utf8(&bytes[..length]).unwrap();
        let (head, line) = message.split_once(" access - ").unwrap();
        assert!(head.starts_with("<110>1 20"), "{head}");
        lines.push_str(&format!("{line}\n"));
    }
    let verdict = verdict(&[&lines], &[]);
    assert_eq!((verdict.found, verdict.accesses), (vec![], 2));
}

/// Polls a future once.
async fn begun<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
}

/// Has the writer do what waits for it.
fn work(writer: &mut Writer) {
    let batch = writer.waiting();
    writer.write(batch);
}

#[tokio::test]
async fn nothing_is_admitted_while_records_fail_and_all_when_one_is_written() {
    let desk = Desk::new();
    let settings = Settings { mode: Mode::Strict, ..desk.settings(1 << 20) };
    let (audit, mut writer, _) = Audit::begin(&settings).unwrap();
    assert_eq!(audit.admit().await, Ok(()));
    let (away, here) = (desk.folder.path().with_extension("away"), desk.folder.path());
    fs::rename(here, &away).unwrap();
    {
        let mut told = std::pin::pin!(audit.record(disclosure("ana", 1)));
        assert!(begun(told.as_mut()).await.is_pending());
        work(&mut writer);
        assert_eq!(told.await, Err(NotRecorded));
    }
    let trial = async |writer: &mut Writer| {
        let mut asked = std::pin::pin!(audit.admit());
        assert!(begun(asked.as_mut()).await.is_pending(), "the writer is asked");
        work(writer);
        asked.await
    };
    assert_eq!(trial(&mut writer).await, Err(NotRecorded));
    fs::rename(&away, here).unwrap();
    assert_eq!(trial(&mut writer).await, Ok(()));
    assert_eq!(audit.admit().await, Ok(()), "nobody is asked any more");
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.lost), (vec![], 0, 1));
    assert_eq!(audit.counters().totals(), Totals { written: 0, lost: 1, failures: 2 });
}

#[tokio::test]
async fn a_writer_that_hangs_is_asked_and_given_up() {
    let desk = Desk::new();
    let settings = Settings { mode: Mode::Strict, ..desk.settings(1 << 20) };
    let (mut audit, mut writer, _) = Audit::begin(&settings).unwrap();
    audit.limits = Limits { record: Duration::ZERO, trial: Duration::ZERO };
    assert_eq!(audit.record(disclosure("ana", 1)).await, Err(NotRecorded), "not in time");
    assert_eq!(audit.admit().await, Err(NotRecorded), "nor is it heard whether it can be");
    audit.leave(disclosure("ben", 1));
    assert_eq!(audit.counters().totals(), Totals::default());
    // It goes on: what nobody waited for any more ended in another way than it was told.
    work(&mut writer);
    assert_eq!(audit.admit().await, Ok(()));
    let text = fs::read_to_string(desk.path()).unwrap();
    let ana = text.lines().find(|line| line.contains("ana@")).unwrap();
    assert!(ana.contains("\tbroken\t") && !ana.contains("\tcomplete\t"), "{ana}");
    assert!(text.lines().any(|line| line.contains("ben@") && line.contains("\tcomplete\t")), "{text}");
    // It hangs again, and the process ends.
    audit.leave(disclosure("eve", 1));
    assert_eq!((audit.counters().give_up(), audit.counters().give_up()), (1, 0));
    assert_eq!(audit.counters().totals(), Totals { written: 2, lost: 1, failures: 0 });
}

#[tokio::test]
async fn what_only_began_and_nobody_waits_for_has_no_record_and_is_not_lost() {
    let desk = Desk::new();
    let settings = Settings { mode: Mode::Strict, queue_max: 1, ..desk.settings(1 << 20) };
    let (mut audit, mut writer, _) = Audit::begin(&settings).unwrap();
    let beginning = || Disclosure { outcome: Outcome::Begun, ..disclosure("ana", 0) };
    audit.leave(disclosure("ben", 1));
    {
        // Its client goes while it waits for a place.
        let mut given_up = std::pin::pin!(audit.record(beginning()));
        assert!(begun(given_up.as_mut()).await.is_pending());
    }
    assert_eq!((audit.counters().totals().lost, audit.admit().await), (0, Ok(())));
    work(&mut writer);
    // It has one, and is not written in time.
    audit.limits.record = Duration::ZERO;
    assert_eq!(audit.record(beginning()).await, Err(NotRecorded));
    work(&mut writer);
    assert_eq!(audit.counters().totals(), Totals { written: 1, lost: 0, failures: 0 });
    assert_eq!(audit.counters().give_up(), 0, "none is waited for");
    let text = fs::read_to_string(desk.path()).unwrap();
    assert!(!text.contains("\tbegun\t") && text.contains("ben@"), "{text}");
    assert_eq!(desk.verdict().found, []);
}

#[tokio::test]
async fn a_beginning_that_cannot_be_written_bars_until_something_can_be() {
    let desk = Desk::new();
    let settings = Settings { mode: Mode::Strict, ..desk.settings(1 << 20) };
    let (audit, mut writer, _) = Audit::begin(&settings).unwrap();
    let (away, here) = (desk.folder.path().with_extension("away"), desk.folder.path());
    fs::rename(here, &away).unwrap();
    {
        let beginning = Disclosure { outcome: Outcome::Begun, ..disclosure("ana", 0) };
        let mut told = std::pin::pin!(audit.record(beginning));
        assert!(begun(told.as_mut()).await.is_pending());
        work(&mut writer);
        assert_eq!(told.await, Err(NotRecorded));
    }
    assert_eq!(audit.counters().totals(), Totals { written: 0, lost: 0, failures: 1 });
    fs::rename(&away, here).unwrap();
    {
        let mut asked = std::pin::pin!(audit.admit());
        assert!(begun(asked.as_mut()).await.is_pending(), "the writer is asked");
        work(&mut writer);
        assert_eq!(asked.await, Ok(()));
    }
    // What was written to prove it says that nothing is missing.
    let text = fs::read_to_string(desk.path()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("g\t")).count(), 1, "{text}");
    let verdict = desk.verdict();
    assert_eq!((verdict.found, verdict.accesses, verdict.lost), (vec![], 0, 0));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let desk = Desk::new();
    let settings = desk.settings(1 << 20);
    rustix::fs::mknodat(rustix::fs::CWD, desk.path(), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(Audit::begin(&settings).err(), Some(AuditError::File { .. })));
    fs::remove_file(desk.path()).unwrap();
    assert!(Audit::begin(&settings).is_ok());
}
