//! The machine, and the program: its size, its dependencies, and how long it takes to build.

use std::{
    fs,
    process::{Command, Stdio},
    time::Instant,
};

use ipseity_harness::measured;

use crate::{
    postgres,
    sample::{Plan, grouped},
};

/// The machine on which everything is measured.
pub fn machine(_plan: &Plan) {
    println!("### Machine\n");
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let disk = said(&["stat", "-f", "-c", "%T", env!("CARGO_TARGET_TMPDIR")]);
    println!(
        "- CPU: {model}, {} of them to run on",
        measured::cpus().len()
    );
    println!("- Linux {}, state on {}", kernel.trim(), disk.trim());
    println!(
        "- load when it began: {}",
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    );
    for line in [
        &["rustc", "--version"][..],
        &["redis-server", "--version"],
        &["memcached", "--version"],
        &["go", "version"],
        &["etcd", "--version"],
    ] {
        show_version(line);
    }
    if let Some(programs) = postgres::programs() {
        show_version(&[programs.join("postgres").to_str().unwrap(), "--version"]);
    }
    println!();
}

fn show_version(line: &[&str]) {
    let text = said(line);
    println!("- {}", text.lines().next().unwrap_or("").trim());
}

/// The program as it is shipped.
pub fn build(plan: &Plan) {
    println!("### The program\n");
    println!("| what | measured |");
    println!("| --- | ---: |");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let target = folder.path().to_str().unwrap();
    let stripped = folder.path().join("stripped");
    let strip = [
        "strip",
        "-o",
        stripped.to_str().unwrap(),
        env!("CARGO_BIN_EXE_ipseity"),
    ];
    said(&strip);
    let bytes = fs::metadata(&stripped).map_or(0, |metadata| metadata.len());
    println!(
        "| `ipseity`, stripped | {} bytes |",
        grouped(bytes as f64, 0)
    );
    let server = ["--no-default-features"];
    for (what, features) in [
        ("`ipseity` alone", &server[..]),
        ("with `ipseity-cli`", &[]),
    ] {
        let mut line = vec![
            "cargo", "tree", "--locked", "-e", "normal", "--prefix", "none",
        ];
        line.extend(features);
        let text = said(&line);
        // A package that is listed a second time is marked.
        let mut packages: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .collect();
        packages.sort_unstable();
        packages.dedup();
        println!(
            "| packages in its tree, {what} | {} |",
            packages.len().saturating_sub(1)
        );
    }
    if plan.builds {
        let start = Instant::now();
        said(&[
            "cargo",
            "build",
            "--release",
            "--locked",
            "--no-default-features",
            "--bin",
            "ipseity",
            "--target-dir",
            target,
        ]);
        println!(
            "| clean release build of `ipseity` | {:.0} s |",
            start.elapsed().as_secs_f64()
        );
    }
    println!();
}

/// The standard output of a command, or a line about its failure.
fn said(line: &[&str]) -> String {
    let output = Command::new(line[0])
        .args(&line[1..])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("{} failed: {error}", line.join(" "));
            format!("{}: failed", line[0])
        }
        Err(error) => format!("{}: {error}", line[0]),
    }
}
