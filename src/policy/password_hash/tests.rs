//! Hashes of the word `correct horse`, as the libraries themselves write them, beside values that only look like one.

use proptest::prelude::*;

use super::*;

const ARGON2: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM";
const BCRYPT: &str = "$2b$10$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6";

/// Taken with the default costs.
const TAKEN: &[&str] = &[
    // argon2-cffi, its defaults and OWASP's least.
    "$argon2id$v=19$m=65536,t=3,p=4$2aV7Y38E7lXjajpqD3u2Xg$dJIutnCF+VJAdry4AT5RjayVK2hHZtcXTg9elw+pZAE",
    ARGON2,
    // bcrypt; PHP's password_hash().
    BCRYPT,
    "$2y$10$JsbZNw.2eQWJlZmWDDuIqez8KjZo3KMb2s215jrlb2QcIociKXtwG",
    // Django 5.2.
    "argon2$argon2id$v=19$m=102400,t=2,p=8$aFFBTHkxM01OWVdvckc5dG1BNjhoUQ$pqw9XnmQ4P3inA8XfboHaF+YE/gRyNyVAzjlVORWDcc",
    "bcrypt_sha256$$2b$12$8Fk/k2IGjy6HGw2e8UhioORRr0lkxHmI/B1epi2dI7kxo77jFRqVO",
    "bcrypt$$2b$12$QNcKP0STJ.shJ77ZrBB5AO5O3aU85ZLlpH9rD5bdHZylAZK846z..",
    "pbkdf2_sha256$1000000$VPyKG07n9e4QbvKjwtHxAR$+1Slpm5yqvbrPZglLlz3Z77Lh9mFEJA2alJro2GiUBg=",
    "scrypt$16384$yiCjRCTyXhpmbKOHaWZljy$8$5$aqE+kR17UgouiYRIS7J6tZXLWVdnmsiMZSRI9KNTVPH3Ax4BLzO3XGNWqgO55G5cDFkpIacJfm0pd8WIeT0Img==",
    "!WFqY6S6jAmtwUDPLAJWR0XWkM1MD6OkEhcpBaLee",
    // Werkzeug, with scrypt of OWASP's costs.
    "scrypt:131072:8:1$bFPgUrgVHJ9De6eV$e5fd82efc2f70bad72a699ed806f970db5750215074d590486148732d5d4b1b88b9cd42c7a6baf0dcfb04dbced512774d536e63230de39ebbf69712d72294e79",
    "pbkdf2:sha256:1000000$JxkW29pMxEBiM7KT$63779e30203bb9620e08f2e97b63ffb6ff2d466142537ff96f4c8a24ce38e357",
    "pbkdf2:sha1:1300000$73DG0CfmcYrr7ePk$e01717f4db289132e9dba0426361d061a8d31ef7",
    // Passlib, with OWASP's costs.
    "$pbkdf2-sha256$600000$eo.xlpKyVqrV.p8TQmgt5Q$owuuYOftNe2sHHSRvJG9QyWt6Qh7iI6LSu3ogFkuMrg",
    "$pbkdf2-sha512$210000$JmTsvfc.J8QYA0AoxVhrLQ$1VgFI6Hjzr.YR54bgpPMMV8KrrHpsbg7lgOlSRmwjcgBU0rHGKRqSCCtNPrJ3Ew8DedlnYx7xItbfswVIVi9Qw",
    "$pbkdf2$1300000$yzkHYAxhDCHEuFcqRch5rw$CuWU/10tzJGS5U0UvXRCR9nJYOg",
    "$scrypt$ln=17,r=8,p=1$/v9/751TqtUa47yXMuZcqw$i7OgHGvdyd/kM7m7z0EaNUbXg6VgPIrPeQcxkfS3OPk",
    "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
    "$bcrypt-sha256$2a,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO",
    // PHC strings of PBKDF2; crypt(5)'s scrypt; Spring Security.
    "$pbkdf2-sha256$i=600000,l=32$eoxlpKyVqrVp8TQmgt5Q$owuuYOftNe2sHHSRvJG9QyWt6Qh7iI6LSu3ogFkuMrg",
    "$7$DU..../....2Q9obwLhin8qvQl6sisAO/$KFQkRkUcvvQtfJsmjW8hxIqRHQ7KpcGcljheiDAGqD4",
    "{bcrypt}$2a$10$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6",
    "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=19456,t=2,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM",
];

/// Recognised, and too cheap by default.
const TOO_CHEAP: &[(&str, &str)] = &[
    ("argon2id", "$argon2id$v=19$m=19456,t=1,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM"),
    ("argon2id", "$argon2id$v=19$m=4096,t=40,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM"),
    ("bcrypt", "$2b$09$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6"),
    // The defaults of Werkzeug and passlib.
    (
        "scrypt",
        "scrypt:32768:8:1$XVlpeKKjXrnsRkVl$08f3acc7337237ec4d6b16241926acf362672088dae00cc97c9a958619a31f806049eee6000eb561332527a8d7274214f667c40e169d1bf6eb9021cc3d6ea4e4",
    ),
    ("scrypt", "$scrypt$ln=16,r=8,p=1$utd6r5XSGoPwvpeyFsJY6w$M2rubgrlYEzIOsOO1yVFKN+Zy9GOppJJNnjVy8pqm5U"),
    ("PBKDF2 with SHA-256", "$pbkdf2-sha256$29000$hVDKGSMkhHCOMQZAiLH2ng$LkZc/1YEUGpapMTpfTvtOY8wp35CA4jT3OeV0xBU4k0"),
    ("PBKDF2 with SHA-1", "pbkdf2_sha1$1000000$p08NaPtZRf5RNaa8ugtLyv$nsxnrpOb16IoBEkhCF7X3WCzo58="),
    (
        "PBKDF2 with SHA-512",
        "$pbkdf2-sha512$25000$JmTsvfc.J8QYA0AoxVhrLQ$1VgFI6Hjzr.YR54bgpPMMV8KrrHpsbg7lgOlSRmwjcgBU0rHGKRqSCCtNPrJ3Ew8DedlnYx7xItbfswVIVi9Qw",
    ),
];

/// No password hashes that are known here.
const UNKNOWN: &[&str] = &[
    "",
    "correct horse",
    "$",
    "$$$$",
    "!",
    "!short",
    "{bcrypt}correct horse",
    // Fast ones: MD5 and SHA in hexadecimal digits, MD5 and SHA-512 of crypt(5), Django's MD5.
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19",
    "$1$d/XQPlGV$ZCVPcqShIrr.P3sjHdrgF.",
    "$6$rounds=656000$ClBoZ3LneOaUH35f$NrHsJFjqtEGEXyGbcoxCXqpfnHHQGFyNt/R0l71P5xDqpfVVxzAmm7jGevQIJUxM6uDMm5.b25qOgu54cfldF0",
    "md5$VeajzNJ2qcBZa7CGPCopIm$792f20355546dcf4e50d7455a6814663",
    // Argon2 of other kinds, and of its version before 19.
    "$argon2i$v=19$m=65536,t=3,p=4$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$argon2id$m=65536,t=3,p=4$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$argon2id$v=16$m=65536,t=3,p=4$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    // Costs that are none.
    "$argon2id$v=19$m=65536,t=3$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$argon2id$v=19$m=65536,t=3,p=4,x=1$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$argon2id$v=19$m=99999999999,t=3,p=4$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$argon2id$v=19$m=+65536,t=3,p=4$Mx5MTS9omVKEwKBOa8scnQ$L/v9dTZeaJkDUDVNZ8mcViuMgqciJpovGJUXDWNwLAk",
    "$2b$32$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6",
    "$2x$10$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6",
    "scrypt:131071:8:1$bFPgUrgVHJ9De6eV$e5fd82efc2f70bad72a699ed806f970db5750215074d590486148732d5d4b1b8",
    "$scrypt$ln=64,r=8,p=1$/v9/751TqtUa47yXMuZcqw$i7OgHGvdyd/kM7m7z0EaNUbXg6VgPIrPeQcxkfS3OPk",
    // The form of a hash around a password.
    "$2b$12$correct horse",
    "pbkdf2_sha256$1000000$salt$correct horse",
    "pbkdf2:sha256:1000000$JxkW29pMxEBiM7KT$correct horse battery staple and more",
    "$argon2id$v=19$m=65536,t=3,p=4$$",
    // A tag of another algorithm.
    "{bcrypt}$argon2id$v=19$m=19456,t=2,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM",
];

fn check(value: &str) -> Result<(), NotAHash> {
    HashCosts::default().check(value.as_bytes())
}

#[test]
fn what_libraries_write_is_taken() {
    for value in TAKEN {
        assert_eq!(check(value), Ok(()), "{value}");
    }
}

#[test]
fn what_costs_too_little_is_named() {
    for (algorithm, value) in TOO_CHEAP {
        assert_eq!(check(value), Err(NotAHash::TooCheap(algorithm)), "{value}");
    }
}

#[test]
fn what_is_no_password_hash_is_unknown() {
    for value in UNKNOWN {
        assert_eq!(check(value), Err(NotAHash::Unknown), "{value}");
    }
    assert_eq!(HashCosts::default().check(b"\xff\xfe"), Err(NotAHash::Unknown));
    assert_eq!(check(&"$argon2id".repeat(1_000)), Err(NotAHash::Unknown));
}

#[test]
fn every_setting_that_owasp_gives_is_taken_and_less_is_not() {
    let costs = HashCosts::default();
    for (memory_kib, passes) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)] {
        assert!(costs.are_met_by(PasswordHash::Argon2id { memory_kib, passes }), "{memory_kib} {passes}");
        assert!(!costs.are_met_by(PasswordHash::Argon2id { memory_kib: memory_kib / 2, passes }), "{memory_kib}");
    }
    for (log_n, lanes) in [(17, 1), (16, 2), (15, 3), (14, 5), (13, 10)] {
        assert!(costs.are_met_by(PasswordHash::Scrypt { log_n, block: 8, lanes }), "{log_n} {lanes}");
        assert!(!costs.are_met_by(PasswordHash::Scrypt { log_n: log_n - 2, block: 8, lanes }), "{log_n} {lanes}");
    }
    assert!(costs.are_met_by(PasswordHash::Scrypt { log_n: 63, block: u32::MAX, lanes: u32::MAX }));
}

#[test]
fn refusals_show_nothing_of_the_value() {
    for value in UNKNOWN.iter().chain(TOO_CHEAP.iter().map(|(_, value)| value)).filter(|value| value.len() > 8) {
        let text = check(value).expect_err("refused").to_string();
        assert!(!text.contains(value), "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(value: Vec<u8>) {
        prop_assert_eq!(PasswordHash::parse(&value), None, "no hash comes about by chance");
    }

    #[test]
    fn one_character_too_few_or_many_is_no_bcrypt(at in 0_usize..60, other in "[ -~]") {
        let mut shorter = BCRYPT.to_owned();
        shorter.remove(at);
        prop_assert_eq!(PasswordHash::parse(shorter.as_bytes()), None);
        let mut longer = BCRYPT.to_owned();
        longer.insert_str(at, &other);
        prop_assert_eq!(PasswordHash::parse(longer.as_bytes()), None);
    }

    #[test]
    fn costs_are_read_as_they_are_written(memory_kib: u32, passes in 1_u32.., lanes in 1_u32.., iterations: u32) {
        let (_, salt_and_digest) = ARGON2.split_once(",p=1").expect("lanes");
        let argon2 = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}{salt_and_digest}");
        let found = PasswordHash::parse(argon2.as_bytes());
        prop_assert_eq!(found, Some(PasswordHash::Argon2id { memory_kib, passes }));
        let django = format!("pbkdf2_sha256${iterations}$VPyKG07n9e4QbvKjwtHxAR$+1Slpm5yqvbrPZglLlz3Z77Lh9mFEJA2alJro2GiUBg=");
        let digest = Pbkdf2Digest::Sha256;
        prop_assert_eq!(PasswordHash::parse(django.as_bytes()), Some(PasswordHash::Pbkdf2 { digest, iterations }));
    }
}
