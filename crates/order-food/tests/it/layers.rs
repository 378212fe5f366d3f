//! The modules of the API use only those below them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others. The crates below (`storage`, `domain`) cannot use any of them.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("cli", &[]),
    ("metrics", &[]),
    ("server", &[]),
    ("config", &["cli"]),
    ("service", &["metrics"]),
    ("state", &["config", "metrics", "server", "service"]),
    ("task", &["service", "state"]),
    ("http", &["service", "state"]),
    ("handler", &["http", "metrics", "service", "state"]),
    ("middleware", &["config", "http", "metrics", "server", "service", "state"]),
    ("router", &["handler", "http"]),
    ("openapi", &["handler", "http", "router"]),
    (
        "app",
        &[
            "config",
            "handler",
            "http",
            "metrics",
            "middleware",
            "openapi",
            "router",
            "server",
            "service",
            "state",
            "task",
        ],
    ),
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a module, which is a file or a folder.
fn files(module: &str) -> Vec<PathBuf> {
    let file = sources().join(format!("{module}.rs"));
    if file.exists() {
        return vec![file];
    }
    let mut folders = vec![sources().join(module)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The modules that a text names after `crate::`, also in a list between braces.
fn used(text: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let list = rest.strip_prefix('{').map_or(rest, |list| &list[..list.find("};").unwrap_or(list.len())]);
        let names = if rest.starts_with('{') { top_level(list) } else { vec![list] };
        for name in names {
            let end =
                name.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(name.len());
            modules.insert(name[..end].to_owned());
        }
    }
    modules
}

/// The items of a list of imports, without what is nested in them.
fn top_level(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (module, may_use) in MAY_USE {
        for file in files(module) {
            for used in used(&fs::read_to_string(&file).unwrap()) {
                let is_module = MAY_USE.iter().any(|(known, _)| *known == used);
                if is_module && used != module && !may_use.contains(&used.as_str()) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each module stands above what it may use, so that no circle is possible.
#[test]
fn the_order_has_no_circle() {
    for (at, (module, may_use)) in MAY_USE.iter().enumerate() {
        for used in *may_use {
            let position = MAY_USE.iter().position(|(known, _)| known == used);
            assert!(position.is_some_and(|position| position < at), "{module} may use {used}");
        }
    }
}

#[test]
fn every_module_has_a_place() {
    let library = fs::read_to_string(sources().join("lib.rs")).unwrap();
    let declared: BTreeSet<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(declared, MAY_USE.iter().map(|(module, _)| *module).collect());
}

#[test]
fn imports_are_read_as_they_are_written() {
    let text =
        "use crate::{openapi, router::{self, Verb}};\nuse crate::http::error;\nlet x = crate::state::A;";
    let modules: Vec<_> = used(text).into_iter().collect();
    assert_eq!(modules, ["http", "openapi", "router", "state"]);
}
