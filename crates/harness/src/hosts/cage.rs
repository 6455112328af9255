//! A cage for a test: the test runs again as the first process of its own namespaces for the network, the mounts and
//! the processes. Nothing that it does to the network affects the machine. When it ends or is killed, or the process
//! that waits for it is killed, the kernel ends everything that it has started and removes the namespaces with
//! everything in them.

use std::{
    env,
    io::{BufRead as _, BufReader, pipe},
    process::{Command, Stdio},
};

/// This variable is set when a test runs in its cage.
const CAGED: &str = "IPSEITY_TEST_CAGED";

/// The last line of a caged test that has passed.
const THE_END: &str = "the cage is left";

/// Ends the command when the thread that started it ends, however it ends. The command becomes the first process of
/// its namespaces, so that nothing in them outlives it. Its mounts are slaves: a file system that another test
/// unmounts must not stay mounted in here.
const CAGE: [&str; 10] = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--net",
    "--mount",
    "--propagation=slave",
    "--pid",
    "--fork",
    "--kill-child",
];

/// Runs `body` in a cage, as a part of the test with this name. If a cage cannot be made, it prints why.
pub fn run(test: &str, body: impl FnOnce()) {
    if env::var_os(CAGED).is_some() {
        // For names of namespaces and for state directories, so that none of them gets on the machine's disk.
        mount_over_run();
        body();
        println!("{THE_END}");
        return;
    }
    // A user who is not root may be root in a user namespace.
    let roots: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let mut refusal = String::new();
    let root = roots
        .into_iter()
        .find(|root| match cage(root).arg("true").output() {
            Ok(output) if output.status.success() => true,
            Ok(output) => {
                refusal = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                false
            }
            Err(error) => {
                refusal = format!("{}: {error}", CAGE[0]);
                false
            }
        });
    let Some(root) = root else {
        eprintln!("SKIPPED: no namespaces can be made here: {refusal}");
        return;
    };
    let (output, input) = pipe().unwrap();
    let mut child = cage(root)
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env(CAGED, "1")
        .stdin(Stdio::null())
        .stdout(input.try_clone().unwrap())
        .stderr(input)
        .spawn()
        .unwrap();
    let mut came_to_its_end = false;
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        came_to_its_end |= line == THE_END;
        println!("{line}");
    }
    let status = child.wait().unwrap();
    assert!(
        status.success() && came_to_its_end,
        "the test failed in its cage, see above: {status}"
    );
}

fn cage(root: &[&str]) -> Command {
    let mut command = Command::new(CAGE[0]);
    command.args(&CAGE[1..]).args(root).arg("--mount-proc");
    command
}

fn mount_over_run() {
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "ipseity-test", "/run"])
        .status();
    assert!(status.unwrap().success(), "the cage has no /run of its own");
}
