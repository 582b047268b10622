//! Wrapping with a key file, and the files that are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use data_encoding::BASE64;
use tempfile::TempDir;
use uuid::Uuid;

use super::protection::Cost;
use super::*;
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::KekAdmin;

/// The least that a file may ask for, which still takes some milliseconds.
const CHEAP: Cost = Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
const PASSPHRASE: &str = "correct horse battery";

/// The provider's futures are ready at once, unless a file must be read again.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a key file never waits"),
    }
}

/// A private folder, and a file in it that does not exist.
fn folder() -> (TempDir, KeyFileSettings) {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("local.kek");
    (folder, KeyFileSettings { path, place: KeyFilePlace::Own, passphrase: None })
}

fn with_passphrase(settings: &KeyFileSettings, passphrase: &str) -> KeyFileSettings {
    let passphrase = Some(Arc::new(SecretText::new(passphrase.to_owned())));
    KeyFileSettings { passphrase, ..settings.clone() }
}

fn at(path: &Path) -> KeyFileSettings {
    KeyFileSettings { path: path.to_owned(), place: KeyFilePlace::Own, passphrase: None }
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

/// Writes the text and opens it in both halves.
fn opened(text: &str) -> (TempDir, KeyFileAdmin, KeyFile) {
    let (folder, settings) = folder();
    write(&settings.path, text);
    let both = (KeyFileAdmin::open(&settings).unwrap(), KeyFile::open(&settings).unwrap());
    (folder, both.0, both.1)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn parse(text: &str) -> Result<Keks, KeyFileError> {
    content::parse(text.as_bytes(), None)
}

fn kcv(file: &KeyFile, wrapped: &WrappedKey, context: &EncryptionContext) -> Result<[u8; 16], KeyError> {
    now(file.unwrap(wrapped, context)).map(|secret| secret.kcv(context.kid, context.purpose))
}

fn wrap(admin: &KeyFileAdmin, context: &EncryptionContext) -> WrappedKey {
    now(admin.generate_wrapped(&admin.kek(), context)).unwrap()
}

fn description(version: u32) -> KekDescription {
    KekDescription { status: KekStatus::Enabled, rotation: KekRotation::OnDemand, version: Some(version) }
}

#[test]
fn a_created_file_is_private_and_opens_what_it_wrapped() {
    let (_folder, settings) = folder();
    let created = KeyFileAdmin::create(&settings).unwrap();
    assert_eq!(fs::metadata(&settings.path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(settings.path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays behind");
    let wrapped = wrap(&created, &context("contact", 7));
    let file = KeyFile::open(&settings).unwrap();
    assert_eq!(file.kek(), created.kek());
    let first = kcv(&file, &wrapped, &context("contact", 7)).unwrap();
    let reopened = KeyFile::open(&settings).unwrap();
    assert_eq!(kcv(&reopened, &wrapped, &context("contact", 7)), Ok(first));
    let other = wrap(&created, &context("contact", 7));
    assert_ne!(kcv(&file, &other, &context("contact", 7)), Ok(first), "every key is a new one");
    assert_eq!(now(created.describe(&created.kek())), Ok(description(1)));
    assert_eq!(now(file.describe(&created.kek())), Ok(description(1)));
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let (_folder, settings) = folder();
    fs::write(&settings.path, "precious").unwrap();
    assert!(matches!(KeyFileAdmin::create(&settings), Err(KeyFileError::Exists)));
    assert_eq!(fs::read_to_string(&settings.path).unwrap(), "precious");
    assert_eq!(fs::read_dir(settings.path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_wrap_opens_in_its_context_only() {
    let (_folder, admin, file) = opened(&text(1, "none", &[(1, 1)]));
    let right = context("contact", 7);
    let wrapped = wrap(&admin, &right);
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
    let (_folder, admin, file) = opened(&text(1, "none", &[(1, 1)]));
    let (_other_folder, other_admin, other) = opened(&text(2, "none", &[(1, 1)]));
    let context = context("contact", 7);
    let wrapped = wrap(&admin, &context);
    assert_eq!(kcv(&other, &wrapped, &context), Err(KeyError::NotFound));
    assert_eq!(now(other.describe(&file.kek())), Err(KeyError::NotFound));
    assert_eq!(now(other_admin.generate_wrapped(&file.kek(), &context)), Err(KeyError::NotFound));
    assert_eq!(now(other_admin.rotate_kek(&file.kek())), Err(KeyError::NotFound));
    let aws = KekRef::new(ProviderKind::AwsKms, file.kek().reference);
    assert_eq!(now(file.describe(&aws)), Err(KeyError::NotFound));
}

#[test]
fn rewrap_moves_a_key_to_the_newest_version() {
    let (_old_folder, old_admin, old) = opened(&text(1, "none", &[(1, 1)]));
    let (_new_folder, new, _) = opened(&text(1, "none", &[(1, 1), (2, 2)]));
    let (_only_folder, _, only_new) = opened(&text(1, "none", &[(2, 2)]));
    let context = context("contact", 7);
    let before = wrap(&old_admin, &context);
    let after = now(new.rewrap(&before, &new.kek(), &context)).unwrap();
    assert_eq!(kcv(&only_new, &after, &context), kcv(&old, &before, &context));
    assert_eq!(kcv(&only_new, &before, &context), Err(KeyError::NotFound));
}

#[tokio::test]
async fn a_rotated_file_wraps_anew_and_opens_the_old_also_in_a_running_proxy() {
    for protected in [None, Some(PASSPHRASE)] {
        let (folder, settings) = folder();
        let settings = protected.map_or(settings.clone(), |passphrase| with_passphrase(&settings, passphrase));
        let admin = KeyFileAdmin::create_at_cost(&settings, CHEAP).unwrap();
        let proxy = KeyFile::open(&settings).unwrap();
        let context = context("contact", 7);
        let before = wrap(&admin, &context);
        let value = kcv(&proxy, &before, &context).unwrap();
        assert_eq!(admin.rotate_kek(&admin.kek()).await, Ok(()));
        assert_eq!(admin.describe(&admin.kek()).await, Ok(description(2)));
        assert_eq!(fs::metadata(&settings.path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
        let after = admin.rewrap(&before, &admin.kek(), &context).await.unwrap();
        assert_eq!((before.blob[4], after.blob[4]), (1, 2), "the version that wraps");
        // The proxy has the old version alone, meets the new one, and reads the file again.
        for wrapped in [&before, &after] {
            let secret = proxy.unwrap(wrapped, &context).await.unwrap();
            assert_eq!(secret.kcv(context.kid, context.purpose), value);
        }
        assert_eq!(proxy.describe(&admin.kek()).await, Ok(description(2)));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_again_is_an_outage_and_no_revocation() {
    let (_folder, settings) = folder();
    let admin = KeyFileAdmin::create(&settings).unwrap();
    let proxy = KeyFile::open(&settings).unwrap();
    let context = context("contact", 7);
    let old = wrap(&admin, &context);
    admin.rotate().unwrap();
    let new = wrap(&admin, &context);
    let good = fs::read_to_string(&settings.path).unwrap();
    for other in ["garbage".to_owned(), text(9, "none", &[(1, 1), (2, 2)])] {
        write(&settings.path, &other);
        assert_eq!(proxy.unwrap(&new, &context).await.unwrap_err(), KeyError::Unavailable);
        assert!(proxy.unwrap(&old, &context).await.is_ok(), "what was read stays in use");
    }
    fs::remove_file(&settings.path).unwrap();
    assert_eq!(proxy.unwrap(&new, &context).await.unwrap_err(), KeyError::Unavailable);
    write(&settings.path, &good);
    assert!(proxy.unwrap(&new, &context).await.is_ok());
    // A version that comes from a newer copy of the file is waited for, without deriving again (`kcv` does not wait).
    let mut ahead = new.clone();
    ahead.blob[4] = 77;
    assert_eq!(kcv(&proxy, &ahead, &context), Err(KeyError::Unavailable));
}

#[test]
fn what_cannot_be_done_with_a_file_is_said() {
    let (_folder, settings) = folder();
    KeyFileAdmin::create(&settings).unwrap();
    fs::set_permissions(&settings.path, Permissions::from_mode(0o440)).unwrap();
    let credential = KeyFileSettings { place: KeyFilePlace::Credential, ..settings };
    let admin = KeyFileAdmin::open(&credential).unwrap();
    assert!(matches!(now(admin.rotate_kek(&admin.kek())), Err(KeyError::Unsupported(_))));
    assert!(matches!(KeyFileAdmin::create(&credential), Err(KeyFileError::ReadOnly)));
}

#[test]
fn a_protected_file_opens_under_its_passphrase_alone() {
    let (_folder, settings) = folder();
    let right = with_passphrase(&settings, PASSPHRASE);
    let admin = KeyFileAdmin::create_at_cost(&right, CHEAP).unwrap();
    let wrapped = wrap(&admin, &context("contact", 7));
    assert!(kcv(&KeyFile::open(&right).unwrap(), &wrapped, &context("contact", 7)).is_ok());
    let wrong = KeyFile::open(&with_passphrase(&settings, "correct horse batterz"));
    assert!(matches!(wrong, Err(KeyFileError::WrongPassphrase)));
    assert!(matches!(KeyFile::open(&settings), Err(KeyFileError::NoPassphrase)));
    let short =
        KeyFileAdmin::create_at_cost(&with_passphrase(&at(&settings.path.with_extension("x")), "elevenbytes"), CHEAP);
    assert!(matches!(short, Err(KeyFileError::ShortPassphrase { octets_min: 12 })));
    // A file that asks for nothing must not take the place of one that does.
    write(&settings.path, &text(1, "none", &[(1, 1)]));
    assert!(matches!(KeyFile::open(&right), Err(KeyFileError::Unprotected)));
    assert!(KeyFile::open(&settings).is_ok());
}

#[test]
fn every_change_of_a_protected_file_is_noticed() {
    let passphrase = SecretText::new(PASSPHRASE.to_owned());
    let text = content::fresh(Some(&passphrase), CHEAP).unwrap();
    let two = content::with_next_version(&text, Some(&passphrase)).unwrap();
    let good: serde_json::Value = serde_json::from_slice(&two).unwrap();
    let outcome = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        content::parse(changed.to_string().as_bytes(), Some(&passphrase)).map(|keks| keks.versions.len())
    };
    let malformed = |change: &dyn Fn(&mut serde_json::Value)| match outcome(change) {
        Err(KeyFileError::Content(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome(&|_| {}).unwrap(), 2);
    // The derivation and the commitment.
    for (field, value) in [("passes", 3), ("memory_kib", 20 * 1024), ("lanes", 2)] {
        assert!(matches!(outcome(&|file| file["kdf"][field] = value.into()), Err(KeyFileError::WrongPassphrase)));
    }
    let other = BASE64.encode(&[7; 32]);
    assert!(matches!(outcome(&|file| file["kdf"]["salt"] = other.clone().into()), Err(KeyFileError::WrongPassphrase)));
    assert!(matches!(outcome(&|file| file["commitment"] = other.clone().into()), Err(KeyFileError::WrongPassphrase)));
    assert!(matches!(outcome(&|file| file["commitment"] = "".into()), Err(KeyFileError::WrongPassphrase)));
    // The keys and their places.
    let changed = "a key was changed";
    assert_eq!(malformed(&|file| file["kek_id"] = Uuid::from_u128(1).to_string().into()), changed);
    assert_eq!(malformed(&|file| file["versions"][1]["version"] = 3.into()), changed);
    assert_eq!(malformed(&|file| file["versions"][0]["created_unix_s"] = 0.into()), changed);
    assert_eq!(malformed(&|file| file["versions"][0]["key"] = good["versions"][1]["key"].clone()), changed);
    assert_eq!(malformed(&|file| file["versions"][0]["key"] = other.clone().into()), changed);
    // The protection itself.
    let misfit = "its protection and its fields do not fit together";
    assert_eq!(malformed(&|file| file["protection"] = "none".into()), misfit);
    assert_eq!(malformed(&|file| file["commitment"] = serde_json::Value::Null), misfit);
    assert_eq!(malformed(&|file| file["kdf"] = serde_json::Value::Null), misfit);
}

#[test]
fn a_file_cannot_demand_more_than_the_machine_has_or_less_than_is_safe() {
    let passphrase = SecretText::new(PASSPHRASE.to_owned());
    let good: serde_json::Value = serde_json::from_slice(&content::fresh(Some(&passphrase), CHEAP).unwrap()).unwrap();
    let bounds: [(&str, u64); 7] = [
        ("memory_kib", 1024 * 1024 + 1),
        ("memory_kib", u64::from(u32::MAX)),
        ("memory_kib", 19 * 1024 - 1),
        ("passes", 11),
        ("passes", 1),
        ("lanes", 5),
        ("lanes", 0),
    ];
    for (field, value) in bounds {
        let mut file = good.clone();
        file["kdf"][field] = value.into();
        let error = content::parse(file.to_string().as_bytes(), Some(&passphrase)).map(drop).unwrap_err();
        assert!(
            error.to_string().ends_with("its key derivation is unknown or out of bounds"),
            "{field} {value}: {error}"
        );
    }
}

#[test]
fn credentials_may_belong_to_root_and_be_read_by_the_group() {
    let (folder, settings) = folder();
    KeyFileAdmin::create(&settings).unwrap();
    let credential = KeyFileSettings { place: KeyFilePlace::Credential, ..settings.clone() };
    let with_mode = |mode| {
        fs::set_permissions(&settings.path, Permissions::from_mode(mode)).unwrap();
        KeyFile::open(&credential)
    };
    for mode in [0o400, 0o440] {
        assert!(with_mode(mode).is_ok(), "{mode:o}");
    }
    for mode in [0o600, 0o444, 0o460, 0o441] {
        assert!(
            matches!(with_mode(mode), Err(KeyFileError::CredentialMode { mode: found }) if found == mode),
            "{mode:o}"
        );
    }
    assert!(with_mode(0o440).is_ok());
    assert!(matches!(KeyFile::open(&settings), Err(KeyFileError::Mode { .. })), "not so outside");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(KeyFile::open(&credential), Err(KeyFileError::Directory { .. })));
}

#[test]
fn files_that_others_can_read_or_replace_are_refused() {
    let (folder, settings) = folder();
    let path = settings.path.clone();
    KeyFileAdmin::create(&settings).unwrap();
    let with_mode = |target: &Path, mode| {
        fs::set_permissions(target, Permissions::from_mode(mode)).unwrap();
        KeyFile::open(&settings)
    };
    for mode in [0o640, 0o604, 0o610, 0o620] {
        assert!(matches!(with_mode(&path, mode), Err(KeyFileError::Mode { mode: found }) if found == mode));
    }
    for mode in [0o400, 0o600] {
        assert!(with_mode(&path, mode).is_ok());
    }
    for mode in [0o770, 0o707, 0o777] {
        assert!(matches!(with_mode(folder.path(), mode), Err(KeyFileError::Directory { .. })));
        let created = KeyFileAdmin::create(&at(&folder.path().join("other.kek")));
        assert!(matches!(created, Err(KeyFileError::Directory { .. })));
    }
    assert!(with_mode(folder.path(), 0o755).is_ok());
}

#[test]
fn only_regular_files_are_opened() {
    let (folder, settings) = folder();
    KeyFileAdmin::create(&settings).unwrap();
    let path = settings.path;
    let link = folder.path().join("link.kek");
    symlink(&path, &link).unwrap();
    assert!(matches!(KeyFile::open(&at(&link)), Err(KeyFileError::NotRegular)));
    assert!(matches!(KeyFileAdmin::create(&at(&link)), Err(KeyFileError::Exists)));
    let inner = folder.path().join("folder.kek");
    fs::create_dir(&inner).unwrap();
    assert!(matches!(KeyFile::open(&at(&inner)), Err(KeyFileError::NotRegular)));
    assert!(matches!(KeyFile::open(&at(&folder.path().join("missing"))), Err(KeyFileError::Io { .. })));
    assert!(matches!(KeyFile::open(&at(Path::new(".."))), Err(KeyFileError::NoName)));
}

#[test]
fn malformed_content_is_refused_without_showing_it() {
    let right = text(1, "none", &[(1, 1)]);
    assert!(parse(&right).is_ok());
    let check = |text: &str, expected: &str| {
        assert_eq!(parse(text).map(drop).unwrap_err().to_string(), expected);
    };
    check(
        &text(1, "passphrase", &[(1, 1)]),
        "the key file is malformed: its protection and its fields do not fit together",
    );
    assert!(matches!(parse(&text(1, "age", &[(1, 1)])), Err(KeyFileError::Syntax { .. })));
    check(&text(1, "none", &[]), "the key file is malformed: it holds no key");
    check(&text(1, "none", &[(1, 1), (1, 2)]), "the key file is malformed: two keys have one version");
    check(&right.replace("\"v\":1", "\"v\":2"), "the key file is malformed: its format version is not known");
    let key = BASE64.encode(&[1; 32]);
    check(&right.replace(&key, "AAAA"), "the key file is malformed: a key does not have 32 bytes");
    check(&right.replace(&key, "canary"), "the key file is malformed: a key is not base64");
    check(&right.replace("00000000-0000", "zzzz"), "the key file is malformed: its id is not a UUID");
    let unknown = right.replace("\"protection\"", "\"canary\"");
    assert!(matches!(parse(&unknown), Err(KeyFileError::Syntax { .. })));
    assert!(!format!("{:?}", parse(&unknown).map(drop)).contains("canary"));
    let (_folder, admin, file) = opened(&right);
    assert!(!format!("{admin:?} {file:?}").contains(&key));
}
