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
