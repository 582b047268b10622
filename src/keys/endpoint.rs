//! Addresses of key services: which may carry plaintext keys.

/// Whether plaintext keys may come back over this address.
pub(super) fn is_protected(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return endpoint.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for endpoint in ["https://kms.example", "http://127.0.0.1:4599", "http://[::1]:1/", "http://localhost"] {
            assert!(is_protected(endpoint), "{endpoint}");
        }
        let open = [
            "http://kms.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://127.0.0.1@kms.example",
            "ftp://x",
        ];
        for endpoint in open {
            assert!(!is_protected(endpoint), "{endpoint}");
        }
    }
}
