//! Documents that repeat what the code says, compared with the code.

use std::collections::BTreeSet;
use std::path::Path;

use candado::app::health::Readiness;
use candado::client_error::ROWS;
use candado::control::KeysMissing;

fn operations() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATIONS.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn operations_says_what_to_do_about_each_reason_of_not_being_ready() {
    let missing = [
        KeysMissing::Starting,
        KeysMissing::KeyStore,
        KeysMissing::NotInitialised,
        KeysMissing::ProviderUnavailable,
        KeysMissing::ProviderRefuses,
        KeysMissing::Keys,
    ];
    let reasons = missing.map(Readiness::NoKeys).into_iter().chain([
        Readiness::NoCatalog,
        Readiness::ShadowOver,
        Readiness::Draining,
    ]);
    for text in reasons.map(|readiness| readiness.to_string()) {
        let reason = text.strip_prefix("not ready: ").unwrap();
        assert!(operations().contains(&format!("\n| `{reason}` | ")), "{reason}");
    }
}

#[test]
fn the_error_table_of_operations_has_the_rows_of_the_code() {
    let text = operations();
    let section = text.split("\n## ").find(|section| section.starts_with("Errors")).expect("a section \"Errors\"");
    let documented: BTreeSet<(String, String)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let code = cells.next()?.trim();
            let state = cells.next()?.trim();
            code.parse::<u16>().ok()?;
            Some((code.to_owned(), state.to_owned()))
        })
        .collect();
    let coded: BTreeSet<(String, String)> =
        ROWS.iter().map(|row| (row.code.to_string(), std::str::from_utf8(&row.sqlstate).unwrap().to_owned())).collect();
    assert_eq!(documented, coded);
}

#[test]
fn the_tests_that_security_names_exist() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let security = std::fs::read_to_string(package.join("SECURITY.md")).unwrap();
    let sections = security
        .split("\n## ")
        .filter(|section| section.starts_with("What shows it") || section.starts_with("OWASP Top 10"));
    let names: Vec<&str> = sections
        .flat_map(|section| section.split('`').skip(1).step_by(2))
        .filter(|code| code.contains("::") && !code.contains(' '))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let (module, test) = (name.split("::").next().unwrap(), name.rsplit("::").next().unwrap());
        let unit = name.contains("::tests::");
        let root = package.join(if unit { "src" } else { "tests/it" }).join(module);
        let found = sources_of(&root).iter().any(|text| text.contains(&format!("fn {test}(")));
        assert!(found, "SECURITY.md names {name}, which is no test");
    }
}

/// All documents, as paths from the package.
const DOCUMENTS: [&str; 14] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "OPERATIONS.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "bench/README.md",
    "docker/README.md",
    "keys-policy/README.md",
    "keys-policy/what-works.md",
    "keys-policy/who-sees-what.md",
    "keys-policy/aws/README.md",
    "keys-policy/vault/README.md",
    "tests/clients/README.md",
];

#[test]
fn links_between_documents_lead_somewhere() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut seen = 0;
    for document in DOCUMENTS {
        let path = package.join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.starts_with("http") && !link.contains(char::is_whitespace)) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let is_there = if anchor.is_empty() {
                target.exists()
            } else {
                std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).any(|known| known == anchor))
            };
            if !is_there {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty() && seen > 40, "{seen} links, of which these lead nowhere: {broken:#?}");
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | ' '));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    })
}

/// The texts of a module: its file, and all below its folder.
fn sources_of(module: &Path) -> Vec<String> {
    let mut texts: Vec<String> = std::fs::read_to_string(module.with_extension("rs")).into_iter().collect();
    let mut folders = vec![module.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.extend(std::fs::read_to_string(path));
            }
        }
    }
    texts
}
