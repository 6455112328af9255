//! The work of an operator with real servers: look at the members, forget one, advance the sequence, and recover a lost
//! state.

use ipseity_core::words::Standing;
use ipseity_harness::program::{Run, run};
use ipseity_harness::server::{Server, eventually};

/// Two servers, of which the second has named the first as its peer, and each knows the other.
fn pair() -> (Server, Server) {
    let one = Server::start(&["--pid", "1", "--sync-interval", "20ms"]);
    let two = Server::start(&[
        "--pid",
        "2",
        "--sync-interval",
        "20ms",
        "--peer",
        &one.address(),
    ]);
    // A start that was accepted is remembered before it has been heard as a server that serves.
    for server in [&one, &two] {
        let has_heard = |member: &serde_json::Value| member["last_heard_ms"].is_u64();
        assert!(eventually(|| members(server).iter().any(has_heard)));
    }
    (one, two)
}

fn cli(server: &Server, arguments: &[&str]) -> Run {
    let address = server.address();
    run(&[arguments, &["--server", &address]].concat())
}

/// The sequence of the next identity.
fn next(server: &Server) -> u64 {
    let shown = cli(server, &["next", "--format", "pair"]).good();
    shown.split(':').next().unwrap().parse().unwrap()
}

/// The members that it knows, as JSON.
fn members(server: &Server) -> Vec<serde_json::Value> {
    let shown = cli(server, &["members", "--json"]).good();
    let lines = shown.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn two_servers_show_what_they_know_of_each_other() {
    let (one, two) = pair();
    for (server, other) in [(&one, &two), (&two, &one)] {
        let other = other.status();
        let [member] = &members(server)[..] else {
            panic!("{:?}", members(server));
        };
        assert_eq!(member["server"], server.address());
        assert_eq!(member["pid"], other.pid.get());
        assert_eq!(
            member["incarnation"],
            format!("{:#034x}", other.incarnation)
        );
        assert_eq!(member["session"], format!("{:#018x}", other.session));
        assert_eq!(member["boot"], 1);
        assert!(member["last_heard_ms"].is_u64(), "{member}");
        assert!(member["objection"].is_null(), "{member}");
    }
    assert_eq!(members(&two)[0]["address"], one.address());
}

#[test]
fn a_server_forgets_a_peer_that_is_gone() {
    let (one, mut two) = pair();
    next(&two);
    one.wait_for_status("the sequence", |status| status.sequence >= 1);
    two.kill();
    let shown = cli(&one, &["members", "--forget", "2"]).good();
    let words = "has forgotten pid 2, which had come to sequence 1";
    assert_eq!(shown, format!("{} {words}\n", one.address()));
    assert!(members(&one).is_empty());
    let again = cli(&one, &["members", "--forget", "2"]);
    assert!(again.bad(1).contains("with unknownPid: "), "{again:?}");
}

#[test]
fn an_advance_is_durable_before_it_is_answered() {
    let mut server = Server::start(&["--pid", "1"]);
    for above in [1_000_000u64, 1 << 45] {
        let shown = cli(
            &server,
            &["advance", "--yes", "--above", &above.to_string()],
        )
        .good();
        server.kill();
        assert_eq!(shown, format!("{above}\n"));
        server.restart();
        let first = next(&server);
        assert!(first > above, "{first}");
    }
    let far = cli(&server, &["advance", "--above", "5"]).good();
    assert!(far.trim().parse::<u64>().unwrap() > 1 << 45, "{far}");
}

#[test]
fn a_server_that_lost_its_state_goes_on_only_with_recover_above() {
    let (one, mut two) = pair();
    let used = (0..5).map(|_| next(&two)).max().unwrap();
    one.wait_for_status("the sequence", |status| status.sequence >= used);
    two.kill();
    std::fs::remove_dir_all(two.data_dir()).unwrap();
    two.restart();
    two.wait_for_status("the objection", |status| status.standing == Standing::Stale);
    let refused = cli(&two, &["next"]);
    assert!(refused.bad(1).contains(" with staleState: "), "{refused:?}");
    assert!(!refused.err.contains("is ipseity running"), "{refused:?}");
    assert_eq!(members(&one)[0]["objection"], "staleState");
    let known = members(&one)[0]["sequence"]
        .as_str()
        .unwrap()
        .parse::<u64>()
        .unwrap();
    assert!(known >= used, "{known} < {used}");
    assert_ne!(two.stop(), 0);

    let (data_dir, word) = (two.data_dir(), (known + 1000).to_string());
    let address = two.address();
    let two = Server::start_with(
        &["--listen", &address],
        &[
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--pid",
            "2",
            "--sync-interval",
            "20ms",
            "--peer",
            &one.address(),
            "--recover-above",
            &word,
        ],
    );
    one.wait_for_log("by its operator's word");
    two.wait_for_status("serving", |status| status.standing == Standing::Serving);
    let first = next(&two);
    assert!(first > known + 1000, "{first}");
    assert!(members(&one)[0]["objection"].is_null());
}
