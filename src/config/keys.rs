//! `[keys]` as written, and the way from there to the settings of one provider.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::file::{bounded, password_from_environment, password_from_file};
use super::settings::{Keys, Revalidation};
use crate::keys::{KeyFilePlace, KeyFileSettings, SecretText, VaultSettings, VaultToken};
use crate::policy::written::Text;

/// Set by systemd for services with credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
const DEFAULT_MOUNT: &str = "transit";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenKeys {
    provider: WrittenProvider,
    // All of them.
    revalidate_s: Option<Spanned<u64>>,
    grace_s: Option<Spanned<u64>>,
    // The key file.
    path: Option<PathBuf>,
    credential: Option<String>,
    passphrase_file: Option<PathBuf>,
    passphrase_env: Option<String>,
    // AWS KMS.
    kek: Option<String>,
    endpoint: Option<String>,
    // Vault.
    address: Option<String>,
    mount: Option<String>,
    key: Option<String>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenProvider {
    File,
    AwsKms,
    Vault,
}

impl WrittenKeys {
    /// Files with secrets beside the key file.
    pub(super) fn secret_files(&self) -> [(&'static str, Option<&Path>); 2] {
        [("keys.passphrase_file", self.passphrase_file.as_deref()), ("keys.token_file", self.token_file.as_deref())]
    }
}

/// Which settings were written, and whose they are.
fn written_settings(written: &WrittenKeys) -> impl Iterator<Item = (&'static str, WrittenProvider)> {
    use WrittenProvider::{AwsKms, File, Vault};
    let all = [
        ("path", File, written.path.is_some()),
        ("credential", File, written.credential.is_some()),
        ("passphrase_file", File, written.passphrase_file.is_some()),
        ("passphrase_env", File, written.passphrase_env.is_some()),
        ("kek", AwsKms, written.kek.is_some()),
        ("endpoint", AwsKms, written.endpoint.is_some()),
        ("address", Vault, written.address.is_some()),
        ("mount", Vault, written.mount.is_some()),
        ("key", Vault, written.key.is_some()),
        ("token_file", Vault, written.token_file.is_some()),
        ("token_env", Vault, written.token_env.is_some()),
        ("ca_file", Vault, written.ca_file.is_some()),
    ];
    all.into_iter().filter(|(_, _, is_written)| *is_written).map(|(name, provider, _)| (name, provider))
}

/// Keys in use are asked for often enough to notice that one was disabled, and kept through an outage of the provider.
pub(super) fn revalidation(text: &mut Text<'_>, written: &WrittenKeys) -> Revalidation {
    let every = bounded(text, "revalidate_s", &written.revalidate_s, 300, 1, 3600);
    let grace = bounded(text, "grace_s", &written.grace_s, 24 * 3600, 1, 7 * 24 * 3600);
    if let Some(at) = written.grace_s.as_ref().or(written.revalidate_s.as_ref())
        && grace < every
    {
        text.wrong(
            &at.span(),
            format!("grace_s ({grace}) is less than revalidate_s ({every}): keys would come and go"),
        );
    }
    Revalidation { every: Duration::from_secs(every.into()), grace: Duration::from_secs(grace.into()) }
}

/// Reads `[keys]`, and the secrets that it points to.
pub(super) fn keys(text: &mut Text<'_>, written: Spanned<WrittenKeys>, folder: &Path) -> Keys {
    let at = written.span();
    let written = written.into_inner();
    let (name, takes) = match written.provider {
        WrittenProvider::File => ("file", "path or credential, and if need be passphrase_file or passphrase_env"),
        WrittenProvider::AwsKms => ("aws-kms", "kek, and if need be endpoint"),
        WrittenProvider::Vault => ("vault", "address, key, token_file or token_env, and if need be mount and ca_file"),
    };
    if let Some((alien, _)) = written_settings(&written).find(|(_, provider)| *provider != written.provider) {
        text.wrong(&at, format!("provider \"{name}\" takes {takes}, but no {alien}"));
    }
    let keys = match written.provider {
        WrittenProvider::File => key_file(written, folder),
        WrittenProvider::AwsKms => aws_kms(written),
        WrittenProvider::Vault => vault(written, folder),
    };
    keys.unwrap_or_else(|problem| {
        text.wrong(&at, problem.unwrap_or_else(|| format!("provider \"{name}\" takes {takes}")));
        Keys::AwsKms { kek: String::new(), endpoint: None }
    })
}

/// Settings, or what is wrong with them; `None` is for something missing or too much.
type Read = Result<Keys, Option<String>>;

fn key_file(written: WrittenKeys, folder: &Path) -> Read {
    let (path, place) = match (written.path, written.credential) {
        (Some(path), None) => (folder.join(path), KeyFilePlace::Own),
        (None, Some(name)) => {
            (credential(&name, std::env::var_os(CREDENTIALS_DIRECTORY)).map_err(Some)?, KeyFilePlace::Credential)
        }
        (None, None) | (Some(_), Some(_)) => return Err(None),
    };
    let passphrase = match (written.passphrase_file, written.passphrase_env) {
        (None, None) => None,
        (Some(path), None) => Some(secret("passphrase_file", password_from_file(&folder.join(path)))?),
        (None, Some(name)) => Some(secret("passphrase_env", password_from_environment(&name))?),
        (Some(_), Some(_)) => return Err(Some("passphrase_file and passphrase_env exclude each other".into())),
    };
    if passphrase.as_deref().is_some_and(SecretText::is_empty) {
        return Err(Some("the passphrase is empty".into()));
    }
    Ok(Keys::File(KeyFileSettings { path, place, passphrase }))
}

/// The file of a credential. Its name is one component: it cannot reach another folder.
fn credential(name: &str, directory: Option<OsString>) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(format!("`{name}` is no name of a credential"));
    }
    let missing = || {
        format!(
            "credential is for services of systemd with LoadCredential= or LoadCredentialEncrypted=, which get \
             ${CREDENTIALS_DIRECTORY}; it is not set"
        )
    };
    directory.map(|directory| PathBuf::from(directory).join(name)).ok_or_else(missing)
}

fn aws_kms(written: WrittenKeys) -> Read {
    let kek = written.kek.ok_or(None)?;
    // An alias could be pointed at another key by somebody who may not use either.
    if !kek.starts_with("arn:") || !kek.contains(":key/") {
        return Err(Some("kek is the key's full ARN (arn:…:key/…), not an alias or an id".into()));
    }
    Ok(Keys::AwsKms { kek, endpoint: written.endpoint })
}

fn vault(written: WrittenKeys, folder: &Path) -> Read {
    let (Some(address), Some(key)) = (written.address, written.key) else { return Err(None) };
    let token = match (written.token_file, written.token_env) {
        (Some(path), None) => VaultToken::File(folder.join(path)),
        (None, Some(name)) => VaultToken::Text(secret("token_env", password_from_environment(&name))?),
        (None, None) | (Some(_), Some(_)) => return Err(Some("vault needs one of token_file and token_env".into())),
    };
    Ok(Keys::Vault(VaultSettings {
        address,
        mount: written.mount.unwrap_or_else(|| DEFAULT_MOUNT.to_owned()),
        key,
        token,
        ca_file: written.ca_file.map(|path| folder.join(path)),
    }))
}

/// A secret that was read, or what is wrong with the setting that points to it.
fn secret(
    setting: &str,
    read: Result<zeroize::Zeroizing<String>, ConfigError>,
) -> Result<Arc<SecretText>, Option<String>> {
    let mut text = read.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Some(format!("{setting}: {error}{cause}"))
    })?;
    Ok(Arc::new(SecretText::new(std::mem::take(&mut *text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_found_in_the_directory_of_the_service_alone() {
        let directory = || Some(OsString::from("/run/credentials/candado.service"));
        let found = credential("kek", directory());
        assert_eq!(found, Ok(PathBuf::from("/run/credentials/candado.service/kek")));
        for name in ["", ".", "..", "../other.service/kek", "/etc/kek"] {
            assert!(credential(name, directory()).unwrap_err().ends_with("is no name of a credential"), "{name}");
        }
        assert!(credential("kek", None).unwrap_err().contains("CREDENTIALS_DIRECTORY"));
    }
}
