use super::*;

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0000";

#[test]
fn a_region_is_read_from_key_arns_only() {
    assert_eq!(region(ARN), Some("eu-central-1"));
    assert_eq!(region("arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1"), Some("cn-north-1"));
    for text in [
        "",
        "alias/candado",
        "0000",
        "arn:aws:kms:eu-central-1:111122223333:alias/candado",
        "arn:aws:kms:eu-central-1:111122223333:key/",
        "arn:aws:kms::111122223333:key/0000",
        "arn:aws:s3:eu-central-1:111122223333:key/0000",
        "arn:aws:kms:eu-central-1:111122223333:key/0000:x",
    ] {
        assert_eq!(region(text), None, "{text}");
    }
}

#[test]
fn every_code_has_its_class() {
    let rows: [(Option<&str>, u16, KeyError); 17] = [
        (Some("AccessDeniedException"), 400, KeyError::Denied),
        (Some("UnrecognizedClientException"), 400, KeyError::Denied),
        (Some("DisabledException"), 400, KeyError::Disabled),
        (Some("KMSInvalidStateException"), 400, KeyError::PendingDeletion),
        (Some("NotFoundException"), 400, KeyError::NotFound),
        (Some("IncorrectKeyException"), 400, KeyError::ContextMismatch),
        (Some("InvalidCiphertextException"), 400, KeyError::ContextMismatch),
        (Some("ThrottlingException"), 400, KeyError::Throttled),
        (Some("KMSInternalException"), 500, KeyError::Unavailable),
        (Some("DependencyTimeoutException"), 500, KeyError::Unavailable),
        (Some("KeyUnavailableException"), 500, KeyError::Unavailable),
        (Some("ExpiredTokenException"), 400, KeyError::Unavailable),
        (Some("SomethingNew"), 503, KeyError::Unavailable),
        (Some("SomethingNew"), 400, KeyError::Protocol("SomethingNew".into())),
        (None, 502, KeyError::Unavailable),
        (None, 429, KeyError::Throttled),
        (None, 403, KeyError::Protocol("HTTP status 403".into())),
    ];
    for (code, status, class) in rows {
        assert_eq!(class_of(code, Some(status)), class, "{code:?} {status}");
    }
}
