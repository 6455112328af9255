//! `ipseity-cli pids` and the variables of a server, as in its container.

use ipseity_harness::{
    nobody::Nobody,
    program::{Run, command},
};

fn with(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    command.output().unwrap().into()
}

#[test]
fn the_variables_of_a_server_name_its_etcd_and_what_to_show_it() {
    let nobody = Nobody::new();
    let (plain, secure) = (
        format!("etcd://{}", nobody.address()),
        format!("etcds://{}", nobody.address()),
    );
    let none = "/nonexistent/file";
    for (variables, arguments, code, says) in [
        (&[][..], &["pids"][..], 2, "--store URL is missing"),
        (
            &[("IPSEITY_STORE", &*plain)],
            &["pids"],
            1,
            "it cannot be reached",
        ),
        (
            &[("IPSEITY_STORE", &*secure), ("IPSEITY_ETCD_CA", none)],
            &["pids"],
            1,
            none,
        ),
        (
            &[("IPSEITY_STORE", &*secure), ("IPSEITY_ETCD_CA", "")],
            &["pids"],
            1,
            "needs --etcd-ca",
        ),
        (
            &[("IPSEITY_STORE", &*plain), ("IPSEITY_ETCD_USER", none)],
            &["pids"],
            1,
            none,
        ),
        // Those of TLS are about another etcd, where a flag names one without it.
        (
            &[("IPSEITY_STORE", &*secure), ("IPSEITY_ETCD_CA", none)],
            &["pids", "--store", &plain],
            1,
            "it cannot be reached",
        ),
        (
            &[("IPSEITY_STORE", &*plain), ("IPSEITY_CLUSTER", "a\tb")],
            &["pids"],
            2,
            "IPSEITY_CLUSTER: ",
        ),
        (
            &[("IPSEITY_STORE", &*plain), ("IPSEITY_CLUSTER", "a\tb")],
            &["pids", "epoch", "--above", "1", "--yes"],
            2,
            "IPSEITY_CLUSTER: ",
        ),
    ] {
        let refused = with(variables, arguments);
        let said = refused.bad(code);
        assert!(said.contains(says), "{variables:?} {arguments:?}: {said}");
    }
}
