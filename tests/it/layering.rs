//! The layers of ARCHITECTURE.md, and the rules of the source tree that the compiler does not know.
//!
//! Works on text: comments are dropped, strings are not. A module that is missing from the table fails the test, so a
//! new one has to be placed.

use std::path::{Path, PathBuf};

/// Each module of the package with the modules that it may use. Everything below `app` is listed; the last four compose
/// and may use all.
const LAYERS: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("http", &[]),
    ("wire", &[]),
    ("sql", &["schema"]),
    ("policy", &["schema"]),
    ("firewall", &["schema", "sql", "policy"]),
    ("crypto", &["schema", "policy"]),
    ("budget", &["schema", "policy"]),
    ("keys", &["schema", "http", "policy", "crypto"]),
    ("events", &["schema", "http", "sql", "policy", "firewall"]),
    ("audit", &["schema", "policy", "crypto", "events"]),
    ("plan", &["schema", "sql", "policy", "firewall"]),
    ("rewrite", &["schema", "wire", "sql", "policy", "crypto", "keys", "audit", "plan"]),
    ("client_error", &["schema", "wire", "sql", "policy", "firewall", "crypto", "keys", "plan", "rewrite"]),
    ("explain", &["schema", "sql", "policy", "firewall", "plan", "client_error"]),
    (
        "proxy",
        &[
            "schema",
            "wire",
            "sql",
            "policy",
            "firewall",
            "events",
            "budget",
            "crypto",
            "keys",
            "audit",
            "plan",
            "rewrite",
            "client_error",
            "explain",
        ],
    ),
    ("control", &["schema", "policy", "budget", "firewall", "crypto", "keys", "audit"]),
];

/// Modules that compose the others.
const COMPOSITION: &[&str] = &["app", "cli", "config", "telemetry"];

/// Text that may appear only below the given paths.
const ONLY_IN: &[(&str, &[&str])] = &[
    (".expose()", &["src/crypto", "src/rewrite", "src/control/column/transform.rs"]),
    ("mysql_async::", &["src/control"]),
    ("aws_sdk_kms::", &["src/keys/aws_kms"]),
    ("aws_config::", &["src/keys/aws_kms"]),
    ("aws_smithy_types::", &["src/keys/aws_kms"]),
    ("hyper::client", &["src/http.rs"]),
    // What serves clients cannot make keys: it never gets the half of a provider that does.
    ("provider::admin(", &["src/cli"]),
    // A key is in the clear outside of a ring for as long as it is carried to another provider.
    ("provider::receiver(", &["src/cli/keys/add_wrap.rs"]),
    (".to_be_wrapped()", &["src/keys"]),
    ("KekAdmin", &["src/keys", "src/control/key_store", "src/app/provider.rs", "src/cli"]),
];

/// Modules that do no I/O, spawn nothing and read no clock.
const PURE: &[&str] =
    &["schema", "wire", "sql", "policy", "crypto", "firewall", "plan", "rewrite", "client_error", "explain"];
const IMPURE: &[&str] = &["tokio::", "std::net::", "std::fs::", "Instant::now", "SystemTime::now", "std::thread::"];

const LINES_MAX: usize = 600;

struct Source {
    /// Relative to the package, with `/`.
    path: String,
    text: String,
    /// The text with comment lines blanked.
    code: String,
}

impl Source {
    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap();
        inside.split(['/', '.']).next().unwrap()
    }

    /// How many modules deep the file is: 1 for `src/plan/mod.rs`, 2 for `src/plan/cache.rs`.
    fn depth(&self) -> usize {
        let inside = self.path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
        inside.split('/').filter(|part| *part != "mod").count()
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }
}

#[test]
fn modules_use_lower_layers_only() {
    let mut breaches = Vec::new();
    for source in sources("src") {
        let module = source.module();
        if matches!(module, "main" | "lib") || COMPOSITION.contains(&module) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            breaches.push(format!("{}: module {module} is not in the table of layers", source.path));
            continue;
        };
        for (offset, used) in uses(&source) {
            if used != module && !allowed.contains(&used.as_str()) {
                breaches.push(format!("{}:{}: {module} must not use {used}", source.path, source.line_of(offset)));
            }
        }
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn some_things_are_mentioned_only_where_they_belong() {
    let mut breaches = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        for (needle, places) in ONLY_IN {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (offset, _) in source.code.match_indices(needle) {
                breaches.push(format!("{}:{}: {needle} belongs to {places:?}", source.path, source.line_of(offset)));
            }
        }
        if !PURE.contains(&source.module()) {
            continue;
        }
        for needle in IMPURE {
            for (offset, _) in source.code.match_indices(needle) {
                breaches.push(format!("{}:{}: {needle} in a pure module", source.path, source.line_of(offset)));
            }
        }
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_stay_readable() {
    let mut breaches = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let unit_tests = source.path.starts_with("src/") && source.is_test();
        if !unit_tests && !source.text.starts_with("//!") {
            breaches.push(format!("{}:1: a file opens with what it is responsible for", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            breaches.push(format!("{}: {lines} lines are more than {LINES_MAX}", source.path));
        }
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn tests_wait_on_events() {
    // Spelt in two parts, or this file would be a breach itself.
    let needle = concat!("sle", "ep(");
    let mut breaches = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")).filter(Source::is_test) {
        for (offset, _) in source.code.match_indices(needle) {
            breaches.push(format!("{}:{}: a test sleeps", source.path, source.line_of(offset)));
        }
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Every module of this package that a file names, with the place.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (offset, _) in source.code.match_indices("crate::") {
        let rest = &source.code[offset + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).into_iter().map(|name| (offset, name))),
            None => found.push((offset, identifier(rest))),
        }
    }
    // A chain of `super::` as long as the file is deep ends at the root of the crate.
    let chain = "super::".repeat(source.depth());
    for (offset, _) in source.code.match_indices(&chain) {
        let continued = source.code[..offset].ends_with("super::");
        let name = identifier(&source.code[offset + chain.len()..]);
        let sibling_of_root = LAYERS.iter().any(|(module, _)| *module == name);
        if !continued && (source.depth() > 1 || !source.path.ends_with("tests.rs")) && sibling_of_root {
            found.push((offset, name));
        }
    }
    found
}

/// The first names of the members of `{a, b::{c, d}, e}`, given without the opening brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 1;
    let mut at_head = true;
    for (offset, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => at_head = true,
            letter if at_head && depth == 1 && (letter.is_alphanumeric() || letter == '_') => {
                heads.push(identifier(&group[offset..]));
                at_head = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
                .collect::<Vec<_>>()
                .join("\n");
            Source { path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), text, code }
        })
        .collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !matches!(name, "node_modules" | "target" | "fuzz") {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
