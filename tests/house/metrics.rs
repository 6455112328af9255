//! docs/metrics.md, the alert rules and the dashboard know exactly the metrics that the program writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use ipseity_harness::{page, programs};
use ipseity_monitor::{Kind, METRICS, Metric};
use serde_json::Value;

const RULES: &str = "packaging/prometheus/ipseity.rules.yml";
const RULES_TEST: &str = "packaging/prometheus/ipseity.rules.test.yml";
const DASHBOARD: &str = "packaging/grafana/ipseity.json";

/// The labels that Prometheus adds: to every series, and to the buckets of a histogram.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// The words in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_has_every_metric_and_no_other() {
    let text = page::read("docs/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `ipseity_"));
    let shown: Vec<_> = rows
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, name, kind, labels, what, _alert, _] = cells[..] else {
                panic!("not five columns: {line}");
            };
            assert!(!what.is_empty(), "{line}");
            (quoted(name)[0], kind.to_owned(), quoted(labels))
        })
        .collect();
    let there = METRICS
        .iter()
        .map(|metric| (metric.name, metric.kind.to_string(), metric.labels.to_vec()));
    assert_eq!(shown, there.collect::<Vec<_>>());
}

#[test]
fn promtool_takes_the_rules_and_they_fire_when_they_should() {
    for arguments in [["check", "rules", RULES], ["test", "rules", RULES_TEST]] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(programs::repository())
            .output()
            .expect("promtool: .ci/setup installs it");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    // Every rule is one that the test has seen firing.
    let (rules, test) = (page::read(RULES), page::read(RULES_TEST));
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!alerts.is_empty());
    for alert in &alerts {
        assert!(test.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
    for part in ["severity: ", "summary: ", "description: "] {
        assert_eq!(rules.matches(part).count(), alerts.len(), "{part}");
    }
}

/// The metric that writes this series.
fn metric_of(series: &str) -> Metric {
    let is_it = |metric: &&Metric| match series.strip_prefix(metric.name) {
        Some("") => metric.kind != Kind::Histogram,
        Some("_bucket" | "_sum" | "_count") => metric.kind == Kind::Histogram,
        _ => false,
    };
    let found = METRICS.iter().find(is_it);
    *found.unwrap_or_else(|| panic!("no metric is called {series}"))
}

/// Panics if an expression names a metric or a label that does not exist. Returns the metrics that it names.
fn check(expression: &str) -> BTreeSet<&'static str> {
    let mut named = BTreeSet::new();
    let mut known: BTreeSet<&str> = ADDED.into();
    for (at, _) in expression.match_indices("ipseity_") {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (series, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let metric = metric_of(series);
        named.insert(metric.name);
        known.extend(metric.labels);
        let Some((selector, _)) = behind.strip_prefix('{').and_then(|s| s.split_once('}')) else {
            continue;
        };
        for one in selector.split(',') {
            let (label, _) = one.split_once(['=', '!']).unwrap();
            let label = label.trim();
            let is_there = metric.labels.contains(&label) || ADDED.contains(&label);
            assert!(is_there, "{series} has no label {label}: {expression}");
        }
    }
    for word in ["by (", "without (", "on (", "group_left ("] {
        for behind in expression.split(word).skip(1) {
            let (labels, _) = behind.split_once(')').unwrap();
            for label in labels.split(',').map(str::trim).filter(|l| !l.is_empty()) {
                assert!(known.contains(label), "{label} in {expression}");
            }
        }
    }
    named
}

#[test]
fn the_rules_use_only_metrics_and_labels_that_exist() {
    let text = page::read(RULES);
    for rule in text.split("- alert: ").skip(1) {
        let (_, expression) = rule.split_once("expr: ").unwrap();
        let end = ["\n        for:", "\n        labels:"].map(|next| expression.find(next));
        let (expression, rest) = expression.split_at(end.into_iter().flatten().min().unwrap());
        let named = check(expression);
        let labels: BTreeSet<&str> = named
            .iter()
            .flat_map(|name| metric_of_name(name).labels)
            .copied()
            .chain(ADDED)
            .collect();
        for behind in rest.split("$labels.").skip(1) {
            let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let label = &behind[..end.unwrap()];
            assert!(labels.contains(label), "{label} in {rule}");
        }
    }
    // The series of the test are those of the program too.
    for line in page::read(RULES_TEST).lines() {
        if let Some((_, series)) = line.split_once("series: '")
            && series.starts_with("ipseity_")
        {
            check(series.split_once('\'').unwrap().0);
        }
    }
}

fn metric_of_name(name: &str) -> Metric {
    *METRICS.iter().find(|metric| metric.name == name).unwrap()
}

#[test]
fn the_dashboard_uses_only_metrics_and_labels_that_exist() {
    let dashboard: Value = serde_json::from_str(&page::read(DASHBOARD)).unwrap();
    let mut places: BTreeMap<u64, &Value> = BTreeMap::new();
    let mut expressions = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let id = panel["id"].as_u64().unwrap();
        assert_eq!(
            places.insert(id, panel),
            None,
            "two panels have the id {id}"
        );
        let at = &panel["gridPos"];
        assert!(at["x"].as_u64().unwrap() + at["w"].as_u64().unwrap() <= 24);
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let named = check(expression);
            assert!(!named.is_empty(), "{expression}");
            let labels = named.iter().flat_map(|name| metric_of_name(name).labels);
            let labels: BTreeSet<&str> = labels.copied().chain(ADDED).collect();
            let legend = target["legendFormat"].as_str().unwrap();
            for behind in legend.split("{{").skip(1) {
                let (label, _) = behind.split_once("}}").unwrap();
                assert!(labels.contains(label), "{label} in {legend}");
            }
            expressions += 1;
        }
    }
    assert!(expressions > 0);
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let query = list[1]["query"]["query"].as_str().unwrap();
    assert_eq!(check(query).len(), 1);
}
