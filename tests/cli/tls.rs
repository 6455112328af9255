//! The commands by TLS: servers at `tls://`, the flags and the variables for the files, and what is said when there is no
//! TLS with a server.

use std::{net::TcpListener, sync::Arc};

use ipseity_core::words::Message;
use ipseity_harness::{
    fake::{Fake, Step},
    pki::{Life, Pki},
    program::{Run, command, run},
};

/// A CA, a server that asks for certificates, and a client who has one.
struct Scene {
    pki: Pki,
    server: Fake,
    files: [String; 3],
}

impl Scene {
    fn new() -> Scene {
        let pki = Pki::new("Example CA");
        pki.issue("one", &["127.0.0.1"], Life::Now);
        pki.issue("alice", &["alice"], Life::Now);
        let server = Fake::tls(pki.server("one", true), 1, []);
        let files = ["ca.pem", "alice.pem", "alice.key"].map(|name| pki.file(name));
        Scene { pki, server, files }
    }

    /// A command with the flags for all files.
    fn run(&self, arguments: &[&str]) -> Run {
        let [ca, certificate, key] = &self.files;
        let files = ["--tls-ca", ca, "--tls-cert", certificate, "--tls-key", key];
        let server = self.server.address();
        run(&[arguments, &files, &["--server", &server]].concat())
    }
}

#[test]
fn every_command_works_by_tls() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["next"]).good(), "1025\n");
    let many = scene.run(&["next", "-n", "5000"]).good();
    assert_eq!(many.lines().count(), 5000);
    let status = scene.run(&["status"]).good();
    assert!(status.contains(&scene.server.address()), "{status}");
    let json = scene.run(&["status", "--json"]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["server"], scene.server.address());
    let ping = scene.run(&["ping", "-n", "2"]).good();
    assert!(ping.contains(&scene.server.address()), "{ping}");
    let watch = scene.run(&["watch", "-n", "1"]).good();
    assert!(watch.contains(&scene.server.address()), "{watch}");
    scene.server.set_members([2, 3, 5]);
    let members = scene.run(&["members", "--json"]).good();
    assert!(members.contains("\"pid\":5"), "{members}");
    assert_eq!(scene.run(&["advance", "--above", "9000"]).good(), "9000\n");
}

#[test]
fn bench_measures_by_tls_and_checks_every_identity() {
    let scene = Scene::new();
    // The last have more to send than TLS keeps for a connection.
    for (connections, in_flight, requests) in [
        ("1", "1", "300"),
        ("50", "64", "9000"),
        ("2", "65536", "140000"),
    ] {
        let load = ["-c", connections, "-P", in_flight, "-n", requests];
        let json = ["bench", "--format", "json"];
        // A busy machine takes long for so many requests.
        let patient = ["--timeout", "1m"];
        let shown = scene.run(&[&json[..], &patient, &load].concat()).good();
        let result: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert!(shown.contains(&scene.server.address()), "{shown}");
        assert_eq!(
            result["points"][0]["rounds"][0]["requests"].to_string(),
            requests,
            "{shown}"
        );
    }
    // The end of a connection is noticed.
    scene.server.script([Step::Last(Vec::new())]);
    let closed = scene.run(&["bench", "-c", "1", "-n", "1"]);
    let says = "the server closed a connection with 1 requests unanswered";
    assert!(closed.err.contains(says), "{closed:?}");
    // One that is found to break its promise is found by TLS too.
    scene.server.set_sequence(0);
    let again = Step::Reply(Message::IdentityReply {
        first: 1025,
        count: 1,
    });
    scene.server.script([again.clone(), again]);
    let broken = scene.run(&["bench", "-c", "1", "-n", "2"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.err.contains("1025"), "{broken:?}");
}

#[test]
fn the_files_come_from_variables_where_no_flag_names_them() {
    let scene = Scene::new();
    let [ca, certificate, key] = &scene.files;
    let with = |variables: &[(&str, &str)], arguments: &[&str]| -> Run {
        let mut command = command(arguments);
        command.env("IPSEITY_SERVER", scene.server.address());
        command.envs(variables.iter().copied());
        command.output().unwrap().into()
    };
    let all = [
        ("IPSEITY_TLS_CA", ca.as_str()),
        ("IPSEITY_TLS_CERT", certificate),
        ("IPSEITY_TLS_KEY", key),
    ];
    assert_eq!(with(&all, &["next"]).good(), "1025\n");
    // A flag comes before its variable.
    let refused = with(&all, &["next", "--tls-ca", certificate]);
    assert!(
        refused
            .bad(1)
            .contains("alice.pem: the certificate in line 1 (alice) is not that of a CA"),
        "{refused:?}"
    );
    // An empty variable is none.
    let refused = with(&[("IPSEITY_TLS_CA", "")], &["next"]);
    assert!(
        refused
            .bad(2)
            .contains("needs --tls-ca FILE, or IPSEITY_TLS_CA"),
        "{refused:?}"
    );
    // Variables for other servers do not disturb a plain one.
    let plain = Fake::serving(1);
    assert_eq!(
        with(&all, &["next", "--server", &plain.address()]).good(),
        "1025\n"
    );
}

#[test]
fn flags_that_do_not_fit_are_refused_before_anybody_is_asked() {
    let scene = Scene::new();
    let [ca, certificate, key] = &scene.files;
    let tls = scene.server.address();
    let plain = scene.server.place();
    let none = scene.pki.file("none.pem");
    for (server, files, code, says) in [
        (&tls, &[][..], 2, "needs --tls-ca FILE"),
        (
            &tls,
            &["--tls-ca", ca, "--tls-cert", certificate],
            2,
            "--tls-cert needs --tls-key",
        ),
        (
            &tls,
            &["--tls-ca", ca, "--tls-key", key],
            2,
            "--tls-key needs --tls-cert",
        ),
        (
            &plain,
            &["--tls-ca", ca],
            2,
            "--tls-ca is for servers at tls://, and none is named",
        ),
        (
            &tls.to_uppercase(),
            &["--tls-ca", ca],
            2,
            "tls://, in small letters, is the one scheme that there is",
        ),
        (&tls, &["--tls-ca", &none], 1, "none.pem: cannot be read: "),
        (&tls, &["--tls-ca", key], 1, "alice.key: has no certificate"),
        (
            &tls,
            &["--tls-ca", ca, "--tls-cert", ca, "--tls-key", key],
            1,
            "ca.pem: is the certificate of a CA",
        ),
        (
            &tls,
            &[
                "--tls-ca",
                ca,
                "--tls-cert",
                &scene.pki.file("one.pem"),
                "--tls-key",
                key,
            ],
            1,
            "alice.key: is not the private key of the certificate in ",
        ),
    ] {
        for command in [&["next"][..], &["status"], &["bench", "-n", "1"]] {
            let refused = run(&[command, &["--server", server], files].concat());
            assert!(refused.bad(code).contains(says), "{files:?}: {refused:?}");
        }
    }
    assert_eq!(scene.server.accepted(), 0);
}

#[test]
fn a_failed_handshake_is_a_failure_in_the_words_of_the_certificate() {
    let scene = Scene::new();
    let ca = &scene.files[0];
    let strangers = Pki::new("Strangers' CA");
    strangers.issue("one", &["127.0.0.1"], Life::Now);
    scene.pki.issue("old", &["127.0.0.1"], Life::Expired);
    scene.pki.issue("other", &["other.example"], Life::Now);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("tls://{}", plain.local_addr().unwrap());
    let fake = |config| Fake::tls(config, 1, []);
    let servers = [
        fake(strangers.server("one", false)),
        fake(scene.pki.server("old", false)),
        fake(scene.pki.server("other", false)),
    ];
    let addresses: Vec<String> = servers.iter().map(Fake::address).collect();
    for (server, says) in [
        (
            &addresses[0],
            "its certificate (one, signed by Strangers' CA) is not signed by any CA of ",
        ),
        (
            &addresses[1],
            "its certificate (old, signed by Example CA) expired at 2021-01-01 00:00 UTC",
        ),
        (
            &addresses[2],
            "its certificate (other, signed by Example CA) is not for 127.0.0.1: it is for other.example",
        ),
        (
            &scene.server.address(),
            "it wants a certificate, and none was given: --tls-cert, --tls-key",
        ),
        (&silent, "the TLS handshake was not complete within "),
    ] {
        // The silent one uses all of it, and the others hardly any.
        let timeout = if *server == silent { "300ms" } else { "20s" };
        let arguments = ["--server", server, "--tls-ca", ca, "--timeout", timeout];
        let next = run(&[&["next"], &arguments[..]].concat());
        assert!(
            next.bad(1).starts_with(&format!("{server}: {says}")),
            "{next:?}"
        );
        let status = run(&[&["status", "--json"], &arguments[..]].concat());
        assert_eq!(status.code, Some(1));
        let json: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        assert!(
            json["error"].as_str().unwrap().starts_with(says),
            "{status:?}"
        );
        let watch = run(&[&["watch", "-n", "1"], &arguments[..]].concat());
        assert_eq!(watch.code, Some(1), "{watch:?}");
        let bench = run(&[&["bench", "-c", "1", "-n", "1"], &arguments[..]].concat());
        assert!(bench.bad(1).contains(says), "{bench:?}");
    }
    let plain = run(&["next", "--server", &scene.server.place()]);
    assert!(
        plain
            .bad(1)
            .contains("it speaks TLS there: write tls:// before its address"),
        "{plain:?}"
    );
    assert_eq!(
        servers
            .iter()
            .map(|server| server.requests().len())
            .sum::<usize>(),
        0
    );
}

#[test]
fn certificates_that_this_program_made_work_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let make =
        |arguments: &[&str]| run(&[&["cert"], arguments, &["--dir", directory]].concat()).good();
    make(&["ca"]);
    make(&["server", "127.0.0.1", "localhost", "--out", "one"]);
    make(&["peer", "127.0.0.1", "--out", "two"]);
    make(&["client", "alice"]);
    let file = |name: &str| format!("{directory}/{name}");
    for server in ["one", "two"] {
        let config = ipseity_harness::pki::server_of(directory.as_ref(), server, true);
        let fake = Fake::tls(Arc::clone(&config), 1, []);
        let next = |who: &str| {
            run(&[
                "next",
                "--server",
                &fake.address(),
                "--tls-ca",
                &file("ca.pem"),
                "--tls-cert",
                &file(&format!("{who}.pem")),
                "--tls-key",
                &file(&format!("{who}.key")),
            ])
        };
        assert_eq!(next("alice").good(), "1025\n");
        // A peer may call too; a certificate for servers only may not.
        assert_eq!(next("two").good(), "2049\n");
        let refused = next("one");
        assert!(
            refused
                .bad(1)
                .contains("it does not accept our certificate (127.0.0.1"),
            "{refused:?}"
        );
        assert!(
            refused.bad(1).contains(
                "it is not made for clients, because its extended key usage lacks clientAuth"
            ),
            "{refused:?}"
        );
    }
}
