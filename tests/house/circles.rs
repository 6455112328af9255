//! No files of one crate import each other in a circle. Imports from the head of a file's own module do not count: it
//! contains what its parts share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::tidy::{Source, collect, paths_from};

/// Where the files of each crate are.
const FOLDERS: &[&str] = &[
    "src",
    "crates/core/src",
    "crates/frames/src",
    "crates/http/src",
    "crates/console/src",
    "crates/tls/src",
    "crates/client/src",
    "crates/bench/src",
    "crates/cli/src",
    "crates/sim/src",
    "crates/harness/src",
    "crates/baselines/src",
    "crates/xtask/src",
    "benches/compare",
];

/// A module, as its path from the head of the crate.
type Module = Vec<String>;

/// The module that a file is.
fn module_of(path: &Path) -> Module {
    let mut parts: Module = path
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// The modules that each module imports, without those that it is a part of.
fn imports(files: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut imports = BTreeMap::new();
    for (module, code) in files {
        let mut paths: Vec<Module> = paths_from(code, "crate")
            .into_iter()
            .map(|path| path[1..].to_vec())
            .collect();
        for (root, home) in [
            ("super", &module[..module.len().saturating_sub(1)]),
            ("self", &module[..]),
        ] {
            paths.extend(
                paths_from(code, root)
                    .into_iter()
                    .map(|path| [home, &path[1..]].concat()),
            );
        }
        let named = paths.iter().filter_map(|path| {
            let prefixes = (0..=path.len()).rev().map(|length| &path[..length]);
            let target = prefixes
                .into_iter()
                .find(|part| files.contains_key(*part))?;
            (!module.starts_with(target)).then(|| target.to_vec())
        });
        imports.insert(module.clone(), named.collect());
    }
    imports
}

/// A circle, if there is one: the modules that are left after all that import none of the others are taken away.
fn circle(files: &BTreeMap<Module, String>) -> Vec<String> {
    let mut left = imports(files);
    loop {
        let free: Vec<Module> = left
            .iter()
            .filter(|(_, named)| !named.iter().any(|module| left.contains_key(module)))
            .map(|(module, _)| module.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        for module in free {
            left.remove(&module);
        }
    }
    // A module that only imports the circle is not part of it.
    loop {
        let named: BTreeSet<Module> = left.values().flatten().cloned().collect();
        let outer: Vec<Module> = left
            .keys()
            .filter(|module| !named.contains(*module))
            .cloned()
            .collect();
        if outer.is_empty() {
            break;
        }
        for module in outer {
            left.remove(&module);
        }
    }
    left.keys().map(|module| module.join("::")).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in FOLDERS {
        let folder = root.join(folder);
        let mut paths: Vec<PathBuf> = Vec::new();
        collect(&folder, &mut paths);
        assert!(!paths.is_empty(), "no sources in {}", folder.display());
        let files: BTreeMap<Module, String> = paths
            .into_iter()
            .filter(|path| !path.starts_with(folder.join("bin")) && !path.ends_with("tests.rs"))
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let inside = path.strip_prefix(&folder).unwrap();
                (module_of(inside), Source::code_of(&text))
            })
            .collect();
        let circle = circle(&files);
        assert!(circle.is_empty(), "{}: {circle:?}", folder.display());
    }
}

#[test]
fn a_circle_is_found_without_the_modules_that_lead_to_it() {
    let files = |texts: &[(&str, &str)]| -> BTreeMap<Module, String> {
        let module = |name: &str| name.split("::").map(str::to_owned).collect();
        texts
            .iter()
            .map(|(name, text)| (module(name), (*text).to_owned()))
            .collect()
    };
    let round = files(&[
        ("a", "use crate::b::B;"),
        ("b", "use super::c::{C, D};"),
        ("c", "use crate::{a::A, leaf};"),
        ("leaf", ""),
        ("outer", "use crate::a;"),
    ]);
    assert_eq!(circle(&round), ["a", "b", "c"]);
    let straight = files(&[
        ("a", "use self::part::P; use crate::b::B;"),
        ("a::part", "use super::Shared; use crate::b::B;"),
        ("b", ""),
    ]);
    assert_eq!(circle(&straight), Vec::<String>::new());
}
