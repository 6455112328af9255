//! What stands below packaging/ agrees with the programs: their version, and the compiler that they need. The rest is
//! checked by .ci/full.

use ipseity_harness::page;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What stands behind this in a file, up to the end of its line, each time.
fn behind<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.split(start)
        .skip(1)
        .filter_map(|rest| rest.split(['\n', '"', ' ']).next())
        .collect()
}

#[test]
fn every_version_is_that_of_the_programs() {
    const IMAGE: &str = "registry.example/ipseity:";
    for (path, start, count) in [
        ("packaging/helm/ipseity/Chart.yaml", "\nversion: ", 1),
        ("packaging/helm/ipseity/Chart.yaml", "\nappVersion: ", 1),
        ("packaging/docker/Dockerfile", "\nARG VERSION=", 1),
        ("packaging/docker/Dockerfile", IMAGE, 1),
        ("packaging/kubernetes/ipseity.yaml", IMAGE, 1),
        ("docs/operations.md", IMAGE, 2),
    ] {
        let text = page::read(path);
        let found = behind(&text, start);
        assert_eq!(found, vec![VERSION; count], "{path}: {start:?}");
    }
}

#[test]
fn the_image_is_built_with_a_compiler_that_is_new_enough() {
    let text = page::read("packaging/docker/Dockerfile");
    let [image] = behind(&text, " rust:")[..] else {
        panic!("not one image");
    };
    let (version, _) = image.split_once('-').unwrap();
    let number = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect()
    };
    let needed = env!("CARGO_PKG_RUST_VERSION");
    assert!(number(version) >= number(needed), "{version} < {needed}");
}
