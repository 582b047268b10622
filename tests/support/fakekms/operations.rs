//! What each operation of the fake does: policy first, then the key's state, then the work, as at AWS.

use std::collections::{HashMap, HashSet};

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::Failure;
use super::keys::{Context, Keys, State, random};

/// Keys and who may do what with them.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) keys: Keys,
    /// Allowed operations by access key id. Whoever is not in it may do nothing.
    pub(crate) policy: HashMap<String, HashSet<String>>,
    /// Purposes to which an operation of an access key id is limited: the condition on `kms:EncryptionContext:purpose`.
    pub(crate) purposes: HashMap<(String, String), HashSet<String>>,
}

/// An operation's arguments.
struct Arguments<'a>(&'a Value);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Result<&str, Failure> {
        self.optional(name).ok_or_else(|| Failure::client("ValidationException", &format!("{name} is missing")))
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn blob(&self, name: &str) -> Result<Vec<u8>, Failure> {
        BASE64
            .decode(self.text(name)?.as_bytes())
            .map_err(|_| Failure::client("SerializationException", &format!("{name} is not base64")))
    }

    fn context(&self, name: &str) -> Context {
        let pairs = self.0.get(name).and_then(Value::as_object).map(Map::iter);
        pairs.into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
    }
}

impl Service {
    /// Carries out one operation for a principal. The second value is the key that it was about.
    pub(crate) fn call(
        &mut self,
        principal: &str,
        operation: &str,
        body: &Value,
    ) -> (Result<Value, Failure>, Option<String>) {
        let arguments = Arguments(body);
        let key = match self.key_of(operation, &arguments) {
            Ok(key) => key,
            Err(failure) => return (Err(failure), None),
        };
        let permitted = self
            .allowed(principal, operation, &key)
            .and_then(|()| self.within_purposes(principal, operation, &arguments));
        let outcome = permitted.and_then(|()| match operation {
            "GenerateDataKeyWithoutPlaintext" => self.generate(&key, &arguments).map(|(_, answer)| answer),
            "GenerateDataKey" => self.generate(&key, &arguments).map(|(plain, mut answer)| {
                answer["Plaintext"] = json!(BASE64.encode(&plain));
                answer
            }),
            "Encrypt" => self.encrypt(&key, &arguments),
            "Decrypt" => self.decrypt(&key, &arguments),
            "ReEncrypt" => self.re_encrypt(principal, &key, &arguments),
            "DescribeKey" => self.describe(&key),
            "DisableKey" => self.set_state(&key, State::Disabled),
            "EnableKey" => self.set_state(&key, State::Enabled),
            "ScheduleKeyDeletion" => self.schedule_deletion(&key, body),
            "CancelKeyDeletion" => self.cancel_deletion(&key),
            "RotateKeyOnDemand" => self.keys.get_mut(&key)?.rotate().map(|()| json!({ "KeyId": key })),
            other => Err(Failure::client("UnknownOperationException", other)),
        });
        (outcome, Some(key))
    }

    /// The key that an operation is about. A ciphertext names its own; a `KeyId` beside it must agree.
    fn key_of(&self, operation: &str, arguments: &Arguments<'_>) -> Result<String, Failure> {
        let (blob, pinned) = match operation {
            "Decrypt" => (arguments.blob("CiphertextBlob")?, arguments.optional("KeyId")),
            "ReEncrypt" => (arguments.blob("CiphertextBlob")?, arguments.optional("SourceKeyId")),
            _ => return self.keys.resolve(arguments.text("KeyId")?),
        };
        let pinned = pinned.map(|id| self.keys.resolve(id)).transpose()?;
        let sealed_by = self.keys.sealed_by(&blob)?;
        match pinned {
            Some(pinned) if pinned != sealed_by => Err(Failure::client(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )),
            Some(_) | None => Ok(sealed_by),
        }
    }

    /// The condition on the encryption context, for every context that a request names. ReEncrypt names two, and AWS asks
    /// for both permissions.
    fn within_purposes(&self, principal: &str, operation: &str, arguments: &Arguments<'_>) -> Result<(), Failure> {
        let Some(purposes) = self.purposes.get(&(principal.to_owned(), operation.to_owned())) else { return Ok(()) };
        let contexts: &[&str] = match operation {
            "ReEncrypt" => &["SourceEncryptionContext", "DestinationEncryptionContext"],
            _ => &["EncryptionContext"],
        };
        let inside =
            |name: &&str| arguments.context(name).get("purpose").is_some_and(|purpose| purposes.contains(purpose));
        if contexts.iter().all(inside) {
            return Ok(());
        }
        let text = format!("{principal} is not authorized to perform: kms:{operation} with this encryption context");
        Err(Failure::client("AccessDeniedException", &text))
    }

    fn allowed(&self, principal: &str, operation: &str, key: &str) -> Result<(), Failure> {
        if self.policy.get(principal).is_some_and(|operations| operations.contains(operation)) {
            return Ok(());
        }
        let text = format!("{principal} is not authorized to perform: kms:{operation} on resource: {key}");
        Err(Failure::client("AccessDeniedException", &text))
    }

    fn generate(&self, key: &str, arguments: &Arguments<'_>) -> Result<(Vec<u8>, Value), Failure> {
        if arguments.optional("KeySpec") != Some("AES_256") {
            return Err(Failure::client("ValidationException", "this fake makes AES_256 keys"));
        }
        let plain: [u8; 32] = random();
        let blob = self.keys.seal(key, &plain, &arguments.context("EncryptionContext"))?;
        Ok((plain.to_vec(), json!({ "CiphertextBlob": BASE64.encode(&blob), "KeyId": key })))
    }

    fn encrypt(&self, key: &str, arguments: &Arguments<'_>) -> Result<Value, Failure> {
        let blob = self.keys.seal(key, &arguments.blob("Plaintext")?, &arguments.context("EncryptionContext"))?;
        Ok(json!({
            "CiphertextBlob": BASE64.encode(&blob), "KeyId": key, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    fn decrypt(&self, key: &str, arguments: &Arguments<'_>) -> Result<Value, Failure> {
        let blob = arguments.blob("CiphertextBlob")?;
        let plain = self.keys.open(key, &blob, &arguments.context("EncryptionContext"))?;
        Ok(json!({
            "Plaintext": BASE64.encode(&plain), "KeyId": key, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    fn re_encrypt(&self, principal: &str, from: &str, arguments: &Arguments<'_>) -> Result<Value, Failure> {
        let to = self.keys.resolve(arguments.text("DestinationKeyId")?)?;
        self.allowed(principal, "ReEncrypt", &to)?;
        let blob = arguments.blob("CiphertextBlob")?;
        let plain = self.keys.open(from, &blob, &arguments.context("SourceEncryptionContext"))?;
        let blob = self.keys.seal(&to, &plain, &arguments.context("DestinationEncryptionContext"))?;
        Ok(json!({
            "CiphertextBlob": BASE64.encode(&blob), "SourceKeyId": from, "KeyId": to,
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    fn describe(&self, arn: &str) -> Result<Value, Failure> {
        let key = self.keys.get(arn)?;
        Ok(json!({ "KeyMetadata": {
            "AWSAccountId": "111122223333", "KeyId": arn.rsplit('/').next(), "Arn": arn, "CreationDate": 1.7e9,
            "Enabled": key.state == State::Enabled, "KeyState": key.state.name(), "KeyUsage": "ENCRYPT_DECRYPT",
            "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "MultiRegion": false,
        }}))
    }

    fn set_state(&mut self, arn: &str, state: State) -> Result<Value, Failure> {
        let key = self.keys.get_mut(arn)?;
        if key.state == State::PendingDeletion {
            return Err(Failure::client("KMSInvalidStateException", &format!("{arn} is pending deletion.")));
        }
        key.state = state;
        Ok(json!({}))
    }

    fn schedule_deletion(&mut self, arn: &str, body: &Value) -> Result<Value, Failure> {
        let days = body.get("PendingWindowInDays").and_then(Value::as_u64).unwrap_or(30);
        if !(7..=30).contains(&days) {
            return Err(Failure::client("ValidationException", "PendingWindowInDays must be between 7 and 30"));
        }
        self.set_state(arn, State::PendingDeletion)?;
        Ok(json!({ "KeyId": arn, "DeletionDate": 1.9e9, "KeyState": "PendingDeletion", "PendingWindowInDays": days }))
    }

    fn cancel_deletion(&mut self, arn: &str) -> Result<Value, Failure> {
        let key = self.keys.get_mut(arn)?;
        if key.state != State::PendingDeletion {
            return Err(Failure::client("KMSInvalidStateException", &format!("{arn} is not pending deletion.")));
        }
        // The key comes back disabled: somebody has to enable it on purpose.
        key.state = State::Disabled;
        Ok(json!({ "KeyId": arn }))
    }
}
