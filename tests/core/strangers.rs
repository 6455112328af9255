//! Bytes from strangers: properties that are true for any bytes that somebody sends, writes or types. The fuzzer in
//! `fuzz/` checks the same properties with bytes that it finds by itself.

use ipseity_sim::properties::{
    bytes_for, client, command_line, connection, frames, http, sealed, seeds, slots,
};
use proptest::prelude::*;

/// Checks that a property holds for an input.
type Check = fn(&[u8]);

#[test]
fn the_seeds_of_the_fuzzer_keep_every_property() {
    let checks: [(&str, Check); 7] = [
        ("client", client::check),
        ("command_line", command_line::check),
        ("connection", connection::check),
        ("frames", frames::check),
        ("http", http::check),
        ("sealed", sealed::check),
        ("slots", slots::check),
    ];
    let seeds = seeds();
    assert_eq!(checks.len(), seeds.len());
    for (target, inputs) in &seeds {
        let (_, check) = checks
            .iter()
            .find(|(name, _)| name == target)
            .expect("every target has a check");
        for (number, seed) in inputs.iter().enumerate() {
            println!("{target}, seed {number}");
            check(seed);
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_has_its_seeds_and_its_program() {
    for (target, seeds) in seeds() {
        assert!(!seeds.is_empty(), "{target}");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join(format!("fuzz/fuzz_targets/{target}.rs"));
        let program = std::fs::read_to_string(program).unwrap();
        let check = format!("{target}::check(input)");
        assert!(program.contains(&check), "{program}");
        let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let path = format!("path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&path), "{path}");
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        // A failure prints the smallest input that fails; a file beside the sources would say no more.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn any_stream_gives_the_same_messages_however_it_is_cut(input in bytes_for("frames")) {
        frames::check(&input);
    }

    #[test]
    fn any_stream_of_http_gives_the_same_requests_however_it_is_cut(input in bytes_for("http")) {
        http::check(&input);
    }

    #[test]
    fn no_file_lets_a_start_begin_too_low(input in bytes_for("slots")) {
        slots::check(&input);
    }

    #[test]
    fn any_arguments_are_accepted_within_bounds_or_refused_in_one_line(input in bytes_for("command_line")) {
        command_line::check(&input);
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_server_survives_any_bytes_from_a_stranger(input in bytes_for("connection")) {
        connection::check(&input);
    }

    #[test]
    fn a_stranger_gets_the_same_answers_with_tls_and_without(input in bytes_for("sealed")) {
        sealed::check(&input);
    }

    #[test]
    fn a_client_accepts_no_answer_that_breaks_a_promise(input in bytes_for("client")) {
        client::check(&input);
    }
}

/// Found by lot: a peer that says alive is owed no answer, and what it asks then is answered.
#[test]
fn a_word_of_a_peer_is_owed_no_answer() {
    const FOUND: [u8; 262] = [
        12, 54, 14, 0, 1, 1, 0, 13, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 20, 2, 0, 98, 3, 0, 2, 0, 0,
        0, 0, 0, 0, 0, 7, 105, 112, 115, 101, 105, 116, 121, 0, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 2, 17, 18, 19, 20, 21, 22, 23, 24, 0, 0, 0, 0,
        0, 0, 0, 5, 2, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 17, 18, 19, 20, 21, 22, 23, 25, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 35, 8, 0, 2, 32, 33, 34, 35, 36, 37,
        38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 49, 50, 51, 52, 53, 54, 55, 56, 0, 0, 0, 0, 0, 0,
        19, 136, 0, 19, 15, 0, 2, 49, 50, 51, 52, 53, 54, 55, 56, 17, 18, 19, 20, 21, 22, 23, 32,
        0, 12, 16, 0, 2, 49, 50, 51, 52, 53, 54, 55, 56, 1, 0, 3, 9, 0, 0, 0, 4, 11, 0, 0, 3, 0, 4,
        11, 1, 0, 3, 0, 4, 11, 2, 0, 0, 0, 9, 12, 0, 0, 0, 0, 0, 15, 66, 64, 0, 16, 17, 0, 0, 0, 0,
        0, 0, 0, 7, 105, 112, 115, 101, 105, 116, 121, 0, 9, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 99,
    ];
    connection::check(&FOUND);
}

/// Found by the fuzzer: a failing disk ends the server when only a part of a reply has left.
#[test]
fn a_server_whose_disk_failed_may_exit_in_the_middle_of_a_reply() {
    const FOUND: [u8; 186] = [
        144, 131, 15, 0, 1, 1, 0, 13, 1, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 129, 129, 129, 129, 129,
        129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129,
        129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129,
        129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129,
        129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129,
        129, 129, 129, 129, 129, 129, 129, 129, 20, 2, 0, 60, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 105,
        112, 115, 101, 105, 148, 154, 2, 0, 60, 3, 0, 1, 0, 0, 0, 116, 121, 0, 1, 0, 1, 2, 3, 4, 5,
        6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 2, 105, 112, 115, 101,
        105, 116, 121, 0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    ];
    connection::check(&FOUND);
}

/// Found by the fuzzer: HTTP is answered in HTTP if it comes first. Behind a frame that was answered it is only a malformed
/// frame.
#[test]
fn http_is_answered_in_http_only_if_it_comes_first() {
    connection::check(b"\0\0\0TRACE ");
    // Byte by byte, with a pause.
    connection::check(b"\x80\x01\x01\0\x0d\x01\0\0\0\x01\0\0\0\0\0\0\0\0POST ");
}
