//! A server that is set up by its environment, and by its host name.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use ipseity_core::words::Message;
use ipseity_harness::{programs, server::Server};
use tempfile::TempDir;

/// Becomes root in a user namespace, and takes a host name of its own.
const RENAMED: [&str; 6] = ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c"];

/// Words in front of a server, which give it these variables.
fn with(variables: &[String]) -> Vec<String> {
    [&["env".to_owned()], variables].concat()
}

/// What each server here needs to run beside other tests.
fn own(directory: &Path) -> Vec<String> {
    vec![
        "IPSEITY_LISTEN=127.0.0.1:0".to_owned(),
        format!("IPSEITY_DATA_DIR={}", directory.join("state").display()),
    ]
}

/// The pid in the next identity.
fn pid(server: &Server) -> u64 {
    match server.ask(1, 0) {
        Message::IdentityReply { first, .. } => first & 1023,
        other => panic!("{other:?}"),
    }
}

/// Runs a server that is refused.
fn refused(variables: &[(&str, &str)], flags: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let output: Output = Command::new(programs::ipseity())
        .args(flags)
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "{said}");
    said
}

#[test]
fn a_server_needs_no_flag_if_it_has_the_variables() {
    let directory = TempDir::new().unwrap();
    let mut variables = own(directory.path());
    variables[0] = "IPSEITY_LISTEN=127.0.0.1:0,[::1]:0".to_owned();
    variables.extend(
        [
            "IPSEITY_PID=7",
            "IPSEITY_CLUSTER=blue",
            "IPSEITY_ALLOW_SHARED_DIR=true",
            "IPSEITY_EPHEMERAL=false",
            "IPSEITY_PEER=",
            "IPSEITY_LOG_LEVEL=debug",
            // Of Kubernetes.
            "IPSEITY_PORT=tcp://10.0.0.1:3264",
            "IPSEITY_SERVICE_HOST=10.0.0.1",
        ]
        .map(str::to_owned),
    );
    let mut server = Server::start_under(&with(&variables), &[], &[])
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
    assert_eq!(pid(&server), 7);
    let first = server.wait_for_log(" listens on ");
    for part in [
        " and [::1]:",
        "pid 7 of cluster \"blue\", peers none",
        "(boot 1,",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(directory.path().join("state/state").exists());
    let ignored = server.wait_for_log("ignored these variables");
    assert!(ignored.contains(" DEBUG "), "{ignored}");
    let (_, names) = ignored.split_once("has such a name: ").unwrap();
    let names: Vec<&str> = names.split_whitespace().collect();
    for name in ["IPSEITY_PORT", "IPSEITY_SERVICE_HOST"] {
        assert!(names.contains(&name), "{ignored}");
    }
    assert!(!names.contains(&"IPSEITY_PID"), "{ignored}");
    assert!(!names.contains(&"IPSEITY_PEER"), "{ignored}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_flag_wins_over_its_variable() {
    let directory = TempDir::new().unwrap();
    let mut variables = own(directory.path());
    variables.push("IPSEITY_PID=7".to_owned());
    let mut server = Server::start_under(&with(&variables), &[], &["--pid", "8"])
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
    assert_eq!(pid(&server), 8);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_wrong_variable_gives_one_line_that_names_it_and_exit_code_2() {
    let said = refused(&[("IPSEITY_MAX_COUNT", "many")], &[]);
    let expected = "ipseity: IPSEITY_MAX_COUNT \"many\": expected a number from 1 to 16777214 (ipseity --help \
                    shows all flags)\n";
    assert_eq!(said, expected);
    let said = refused(&[("IPSEITY_EPHEMERAL", "on")], &[]);
    assert!(
        said.contains("IPSEITY_EPHEMERAL \"on\": expected true, false"),
        "{said}"
    );
}

#[test]
fn the_pid_comes_from_the_host_name() {
    let renamed = |name: &str| {
        let script = format!("hostname {name} && exec \"$@\"");
        let mut runner = RENAMED.map(str::to_owned).to_vec();
        runner.extend([script, "sh".to_owned()]);
        runner
    };
    let runner = renamed("ipseity-3");
    let works = Command::new(&runner[0])
        .args(&runner[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: no namespace with a host name of its own can be made here");
        return;
    }
    let directory = TempDir::new().unwrap();
    let mut variables = own(directory.path());
    variables.push("IPSEITY_PID_FROM_HOSTNAME=true".to_owned());
    // A shell would set it; it does not count.
    variables.push("HOSTNAME=other-5".to_owned());
    let runner = [runner, with(&variables)].concat();
    let mut server = Server::start_under(&runner, &[], &["--pid-base", "100"])
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
    assert_eq!(pid(&server), 103);
    assert_eq!(server.stop(), 0);

    let runner = [renamed("ipseity"), with(&variables)].concat();
    let Err(refusal) = Server::start_under(&runner, &[], &[]) else {
        panic!("a host name without a number was taken");
    };
    assert_eq!(refusal.code, Some(2));
    let says =
        "IPSEITY_PID_FROM_HOSTNAME: the host name \"ipseity\" does not end in a dash and a number";
    assert!(refusal.log.contains(says), "{}", refusal.log);
}
