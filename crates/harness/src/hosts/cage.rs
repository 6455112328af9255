//! A cage for a test: the test runs again as the first process of namespaces of its own, for the network, the
//! mounts and the processes. Nothing that it does to a network touches that of the machine; and when it ends,
//! or is killed, or the one that waits for it is killed, the kernel ends all that it has started and takes the
//! namespaces away, with all that was in them.

use std::{
    env,
    io::{BufRead as _, BufReader, pipe},
    process::{Command, Stdio},
};

/// Set where a test runs in its cage.
const CAGED: &str = "IPSEITY_TEST_CAGED";

/// The last line of a caged test that has not failed.
const THE_END: &str = "the cage is left";

/// Ends the command when the thread that started it ends, in whichever way. It becomes the first process of its
/// namespaces, so that nothing in them outlives it. Its mounts are slaves: what another test unmounts must not
/// stay mounted in here.
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

/// Runs `body` in a cage, as a part of the test of this name. If a cage cannot be made, it prints that.
pub fn run(test: &str, body: impl FnOnce()) {
    if env::var_os(CAGED).is_some() {
        // Names of namespaces, and state directories: nothing of that reaches the machine's disk.
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
