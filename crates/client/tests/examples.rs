//! The examples run, and say what they should.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::{env, process::Command};

use ipseity_harness::fake::Fake;

/// What an example says before a server.
fn said(example: &str) -> String {
    let server = Fake::serving(1);
    // Cargo puts them beside the tests.
    let tests = env::current_exe().unwrap();
    let program = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(example);
    let output = Command::new(&program)
        .arg(server.address())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: cargo build --examples", program.display()));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn take_takes_one_a_block_and_those_of_a_source() {
    assert_eq!(
        said("take"),
        "one: 1025 is sequence 1 of pid 1\n\
         a block: 2049 to 1025025\n\
         a source: 4000 identities for four threads\n"
    );
}

#[test]
fn take_tokio_does_so_with_tasks() {
    assert_eq!(
        said("take_tokio"),
        "at once: one, and a block of 1000\na source: 4000 identities for four tasks\n"
    );
}
