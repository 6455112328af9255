//! What stands below packaging/ and in CHANGELOG.md agrees with the programs: their version, and the compiler that they
//! need. The rest is checked by .ci/full.

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
        ("packaging/kubernetes/etcd.yaml", IMAGE, 1),
        ("docs/operations.md", IMAGE, 2),
    ] {
        let text = page::read(path);
        let found = behind(&text, start);
        assert_eq!(found, vec![VERSION; count], "{path}: {start:?}");
    }
}

/// The first two headings are what is not given out yet and this version. Debian's changelog is of the same version and day.
#[test]
fn the_changelogs_begin_with_this_version() {
    let page = page::read("CHANGELOG.md");
    let headings = behind(&page, "\n## [");
    assert_eq!(headings[..2], ["Unreleased]", &format!("{VERSION}]")]);
    let [day] = behind(&page, &format!("\n## [{VERSION}] - "))[..] else {
        panic!("not one day");
    };
    let [year, month, day] = day.split('-').collect::<Vec<_>>()[..] else {
        panic!("{day} is no date");
    };
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months[month.parse::<usize>().unwrap() - 1];
    let debian = page::read("packaging/debian/changelog");
    let head = format!("ipseity ({VERSION}-1) ");
    assert!(debian.starts_with(&head), "it does not begin with {head}");
    let signed = debian
        .lines()
        .find(|line| line.starts_with(" -- "))
        .unwrap();
    assert!(
        signed.contains(&format!(", {day} {month} {year} ")),
        "{signed}"
    );
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
