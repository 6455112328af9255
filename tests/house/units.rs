//! The units of systemd and the settings of the Debian package: systemd takes them, they are as hardened as they can be,
//! and the page and the package show what is there.

use std::{collections::BTreeSet, fs, process::Command};

use ipseity_harness::{page, programs};
use tempfile::TempDir;

const UNIT: &str = "packaging/systemd/ipseity.service";
const TEMPLATE: &str = "packaging/systemd/ipseity@.service";

/// The settings of the package.
const SETTINGS: &str = "packaging/debian/default";

/// The worst mark that `systemd-analyze security` may give, in tenths; the best is 0, and a unit without any hardening
/// has 96. The network and the system calls for its limit of open files cost a server at least 12.
const EXPOSURE_MAX: &str = "12";

/// Runs `systemd-analyze` and returns what it has written. No unit needs to be installed for that.
fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .output()
        .expect("systemd-analyze: .ci/setup installs it");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn systemd_takes_the_units() {
    let home = TempDir::new().unwrap();
    // The template as it is, and an instance of it.
    for (file, unit) in [
        (UNIT, "ipseity.service"),
        (TEMPLATE, "ipseity@.service"),
        (TEMPLATE, "ipseity@7.service"),
    ] {
        // The program need not be installed here.
        let text = page::read(file).replace("/usr/bin/ipseity", "/bin/true");
        let path = home.path().join(unit);
        fs::write(&path, &text).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(
            analyze(&["verify", "--man=no", path]),
            (true, String::new()),
            "{file}"
        );
        // A mistake is found.
        fs::write(path, text.replace("[Service]", "[Service]\nRestrat=no")).unwrap();
        let (_, said) = analyze(&["verify", "--man=no", path]);
        assert!(said.contains("Restrat"), "{said}");
    }
}

#[test]
fn the_units_are_hardened() {
    for file in [UNIT, TEMPLATE] {
        let path = programs::repository().join(file);
        let path = path.to_str().unwrap();
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let (is_good, said) = analyze(&["security", "--offline=true", &threshold, path]);
        assert!(is_good, "{file}:\n{said}");
    }
}

#[test]
fn the_two_units_differ_only_in_the_pid_and_its_settings() {
    let lines = |file: &str| -> Vec<String> {
        let text = page::read(file);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let template: Vec<String> = lines(TEMPLATE)
        .into_iter()
        .filter(|line| line != "EnvironmentFile=-/etc/default/ipseity-%i")
        .map(|line| match line.as_str() {
            "Description=Ipseity, pid %i" => {
                "Description=Ipseity, a server that hands out unique, increasing identities"
                    .to_owned()
            }
            _ => line.replace("/usr/bin/ipseity --pid %i", "/usr/bin/ipseity"),
        })
        .collect();
    assert_eq!(template, lines(UNIT));
}

#[test]
fn the_page_shows_the_unit() {
    let blocks = page::blocks(&page::read("docs/operations.md"), "ini");
    let shown: Vec<&str> = blocks.iter().map(|block| block.text.as_str()).collect();
    assert_eq!(shown, [page::read(UNIT)]);
}

#[test]
fn every_setting_of_the_package_is_a_variable_of_the_server() {
    let help = ipseity::options::help();
    let known: BTreeSet<&str> = help
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .collect();
    let text = page::read(SETTINGS);
    let set: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(set.len() >= 5, "{set:?}");
    for name in set {
        assert!(known.contains(name), "{name}");
    }
    // Nothing is set before somebody has chosen a pid.
    let lines = text.lines().filter(|line| !line.is_empty());
    for line in lines {
        assert!(line.starts_with('#'), "{line}");
    }
}
