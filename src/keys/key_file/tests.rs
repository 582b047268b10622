//! Wrapping with a key file, and the files that are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tempfile::TempDir;

use super::*;
use crate::crypto::{KeyId, KeyPurpose};

/// The provider's futures are ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a key file never waits"),
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("local.kek");
    (folder, path)
}

fn context(keyset: &str, kid: u32) -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(1),
        keyset: Arc::from(keyset),
        purpose: KeyPurpose::Data,
        kid: KeyId::new(kid).unwrap(),
    }
}

fn text(id: u128, protection: &str, versions: &[(u32, u8)]) -> String {
    let versions: Vec<_> = versions
        .iter()
        .map(|(version, byte)| {
            serde_json::json!({ "version": version, "created_unix_s": 0, "key": BASE64.encode(&[*byte; 32]) })
        })
        .collect();
    serde_json::json!({ "v": 1, "kek_id": Uuid::from_u128(id).to_string(), "protection": protection, "versions": versions })
        .to_string()
}

fn parse(text: &str) -> KeyFile {
    KeyFile::parse(text.as_bytes()).unwrap()
}

fn kcv(file: &KeyFile, wrapped: &WrappedKey, context: &EncryptionContext) -> Result<[u8; 16], KeyError> {
    now(file.unwrap(wrapped, context)).map(|secret| secret.kcv(context.kid, context.purpose))
}

#[test]
fn a_created_file_is_private_and_opens_what_it_wrapped() {
    let (_folder, path) = folder();
    let created = KeyFile::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays behind");
    let wrapped = now(created.generate_wrapped(&created.kek(), &context("contact", 7))).unwrap();
    let reopened = KeyFile::open(&path).unwrap();
    assert_eq!(reopened.kek(), created.kek());
    let first = kcv(&created, &wrapped, &context("contact", 7)).unwrap();
    assert_eq!(kcv(&reopened, &wrapped, &context("contact", 7)), Ok(first));
    let other = now(created.generate_wrapped(&created.kek(), &context("contact", 7))).unwrap();
    assert_ne!(kcv(&created, &other, &context("contact", 7)), Ok(first), "every key is a new one");
    assert_eq!(now(created.describe(&created.kek())), Ok(KekStatus::Enabled));
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let (_folder, path) = folder();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(KeyFile::create(&path), Err(KeyFileError::Exists)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_wrap_opens_in_its_context_only() {
    let file = parse(&text(1, "none", &[(1, 1)]));
    let right = context("contact", 7);
    let wrapped = now(file.generate_wrapped(&file.kek(), &right)).unwrap();
    assert!(kcv(&file, &wrapped, &right).is_ok());
    let wrong = [
        context("contact", 8),
        context("credentials", 7),
        EncryptionContext { purpose: KeyPurpose::Index, ..right.clone() },
        EncryptionContext { deployment: Uuid::from_u128(2), ..right.clone() },
    ];
    for context in wrong {
        assert_eq!(kcv(&file, &wrapped, &context), Err(KeyError::ContextMismatch), "{context:?}");
    }
    for index in 5..wrapped.blob.len() {
        let mut changed = wrapped.clone();
        changed.blob[index] ^= 1;
        assert_eq!(kcv(&file, &changed, &right), Err(KeyError::ContextMismatch), "byte {index}");
    }
    for length in 0..wrapped.blob.len() {
        let cut = WrappedKey { blob: wrapped.blob[..length].to_vec(), ..wrapped.clone() };
        assert_eq!(kcv(&file, &cut, &right), Err(KeyError::ContextMismatch), "length {length}");
    }
}

#[test]
fn another_files_wraps_are_not_found() {
    let (file, other) = (parse(&text(1, "none", &[(1, 1)])), parse(&text(2, "none", &[(1, 1)])));
    let context = context("contact", 7);
    let wrapped = now(file.generate_wrapped(&file.kek(), &context)).unwrap();
    assert_eq!(kcv(&other, &wrapped, &context), Err(KeyError::NotFound));
    assert_eq!(now(other.describe(&file.kek())), Err(KeyError::NotFound));
    assert_eq!(now(other.generate_wrapped(&file.kek(), &context)), Err(KeyError::NotFound));
    let aws = KekRef::new(ProviderKind::AwsKms, file.kek().reference);
    assert_eq!(now(file.describe(&aws)), Err(KeyError::NotFound));
}

#[test]
fn rewrap_moves_a_key_to_the_newest_version() {
    let (old, new) = (parse(&text(1, "none", &[(1, 1)])), parse(&text(1, "none", &[(1, 1), (2, 2)])));
    let only_new = parse(&text(1, "none", &[(2, 2)]));
    let context = context("contact", 7);
    let before = now(old.generate_wrapped(&old.kek(), &context)).unwrap();
    let after = now(new.rewrap(&before, &new.kek(), &context)).unwrap();
    assert_eq!(kcv(&only_new, &after, &context), kcv(&old, &before, &context));
    assert_eq!(kcv(&only_new, &before, &context), Err(KeyError::NotFound));
}

#[test]
fn files_that_others_can_read_or_replace_are_refused() {
    let (folder, path) = folder();
    KeyFile::create(&path).unwrap();
    let with_mode = |target: &Path, mode| {
        fs::set_permissions(target, Permissions::from_mode(mode)).unwrap();
        KeyFile::open(&path)
    };
    for mode in [0o640, 0o604, 0o610, 0o620] {
        assert!(matches!(with_mode(&path, mode), Err(KeyFileError::Mode { mode: found }) if found == mode));
    }
    for mode in [0o400, 0o600] {
        assert!(with_mode(&path, mode).is_ok());
    }
    for mode in [0o770, 0o707, 0o777] {
        assert!(matches!(with_mode(folder.path(), mode), Err(KeyFileError::Directory { .. })));
        let created = KeyFile::create(&folder.path().join("other.kek"));
        assert!(matches!(created, Err(KeyFileError::Directory { .. })));
    }
    assert!(with_mode(folder.path(), 0o755).is_ok());
}

#[test]
fn only_regular_files_are_opened() {
    let (folder, path) = folder();
    KeyFile::create(&path).unwrap();
    let link = folder.path().join("link.kek");
    symlink(&path, &link).unwrap();
    assert!(matches!(KeyFile::open(&link), Err(KeyFileError::NotRegular)));
    assert!(matches!(KeyFile::create(&link), Err(KeyFileError::Exists)));
    let inner = folder.path().join("folder.kek");
    fs::create_dir(&inner).unwrap();
    assert!(matches!(KeyFile::open(&inner), Err(KeyFileError::NotRegular)));
    assert!(matches!(KeyFile::open(&folder.path().join("missing")), Err(KeyFileError::Io { .. })));
    assert!(matches!(KeyFile::open(Path::new("..")), Err(KeyFileError::NoName)));
}

#[test]
fn malformed_content_is_refused_without_showing_it() {
    let right = text(1, "none", &[(1, 1)]);
    assert!(KeyFile::parse(right.as_bytes()).is_ok());
    let check = |text: &str, expected: &str| {
        assert_eq!(KeyFile::parse(text.as_bytes()).unwrap_err().to_string(), expected);
    };
    check(
        &text(1, "passphrase", &[(1, 1)]),
        "the key file's protection is not supported; this version knows \"none\" only",
    );
    check(&text(1, "none", &[]), "the key file is malformed: it holds no key");
    check(&text(1, "none", &[(1, 1), (1, 2)]), "the key file is malformed: two keys have one version");
    check(&right.replace("\"v\":1", "\"v\":2"), "the key file is malformed: its format version is not known");
    let key = BASE64.encode(&[1; 32]);
    check(&right.replace(&key, "AAAA"), "the key file is malformed: a key does not have 32 bytes");
    check(&right.replace(&key, "canary"), "the key file is malformed: a key is not base64");
    check(&right.replace("00000000-0000", "zzzz"), "the key file is malformed: its id is not a UUID");
    let unknown = right.replace("\"protection\"", "\"canary\"");
    assert!(matches!(KeyFile::parse(unknown.as_bytes()), Err(KeyFileError::Syntax { .. })));
    assert!(!format!("{:?}", KeyFile::parse(unknown.as_bytes())).contains("canary"));
    assert!(!format!("{:?}", parse(&right)).contains(&key));
}
