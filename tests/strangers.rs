//! Bytes from strangers: what holds of any bytes that somebody sends, writes or types. The fuzzer in `fuzz/`
//! holds the same properties against bytes that it finds by itself.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::sync::LazyLock;

use allocation_counter::measure;
use ipseity_frames::{FrameDecoder, limits::FRAME_BYTES_MAX};
use ipseity_sim::properties::{Seeds, client, command_line, connection, frames, seeds, slots};
use proptest::{collection::vec, prelude::*, sample::Index};

/// The targets of the fuzzer, with what it begins with.
static SEEDS: LazyLock<Vec<Seeds>> = LazyLock::new(seeds);

/// What holds a property against an input.
type Check = fn(&[u8]);

/// Room for the texts of an error, beside what grows with the input.
const DECODING_BYTES_MAX: u64 = 2048;

/// More than any byte on the wire takes in memory, where lists grow by doubling.
const BYTES_PER_BYTE_MAX: u64 = 32;

fn of(target: &str) -> &'static [Vec<u8>] {
    let found = SEEDS.iter().find(|(name, _)| *name == target);
    &found.expect("every target has seeds").1
}

#[test]
fn the_seeds_of_the_fuzzer_keep_every_property() {
    let checks: [(&str, Check); 5] = [
        ("client", client::check),
        ("command_line", command_line::check),
        ("connection", connection::check),
        ("frames", frames::check),
        ("slots", slots::check),
    ];
    assert_eq!(checks.len(), SEEDS.len());
    for (target, check) in checks {
        for (number, seed) in of(target).iter().enumerate() {
            println!("{target}, seed {number}");
            check(seed);
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_has_its_seeds_and_its_program() {
    for (target, seeds) in SEEDS.iter() {
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

/// A seed of the target with some bytes changed, put in or taken out, perhaps with another seed behind it, and
/// sometimes no seed at all.
fn bytes_for(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seed = || any::<Index>().prop_map(move |index| index.get(of(target)).clone());
    let edit = (any::<Index>(), 0..4u8, any::<u8>(), 0..40usize);
    let edited = (seed(), vec(edit, 0..6), prop::option::of(seed())).prop_map(
        |(mut bytes, edits, behind)| {
            for (at, what, byte, length) in edits {
                let at = at.index(bytes.len() + 1);
                let end = bytes.len().min(at + length);
                match what {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                    2 => drop(bytes.splice(at..at, [byte])),
                    _ => drop(bytes.drain(at..end)),
                }
            }
            bytes.extend(behind.into_iter().flatten());
            bytes
        },
    );
    prop_oneof![9 => edited, 1 => vec(any::<u8>(), 0..300)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        // A failure prints the least input that fails; a file beside the sources would say no more.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn any_stream_comes_to_the_same_however_it_is_cut(input in bytes_for("frames")) {
        frames::check(&input);
    }

    #[test]
    fn no_file_lets_a_start_begin_too_low(input in bytes_for("slots")) {
        slots::check(&input);
    }

    #[test]
    fn no_argument_is_taken_for_what_it_is_not(input in bytes_for("command_line")) {
        command_line::check(&input);
    }

    /// A frame may be the longest, and claim anything of what is in it.
    #[test]
    fn decoding_takes_memory_for_what_has_arrived_and_for_nothing_else(
        input in bytes_for("frames"),
        claimed in prop::sample::select(vec![255u64, 4096, 65_000, 65_536, 1 << 24, 1 << 32, u64::MAX]),
        at in any::<Index>(),
    ) {
        let (receiver, stream) = (input.first().copied().unwrap_or(0), input.get(2..).unwrap_or(&[]));
        let receiver = frames::RECEIVERS[usize::from(receiver) % 3];
        let mut stream = stream[..stream.len().min(FRAME_BYTES_MAX)].to_vec();
        let at = at.index(stream.len() + 1);
        for (place, byte) in stream[at..].iter_mut().zip(claimed.to_be_bytes()) {
            *place = byte;
        }
        let mut decoder = FrameDecoder::new();
        decoder.restore(&stream);
        loop {
            let before = decoder.rest().len();
            let mut is_more = false;
            let memory = measure(|| is_more = matches!(decoder.next(receiver), Ok(Some(_))));
            let most = DECODING_BYTES_MAX + BYTES_PER_BYTE_MAX * before as u64;
            prop_assert!(memory.bytes_max <= most, "{} > {most}", memory.bytes_max);
            if !is_more {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_server_outlives_every_stranger(input in bytes_for("connection")) {
        connection::check(&input);
    }

    #[test]
    fn a_client_believes_no_answer_that_breaks_a_promise(input in bytes_for("client")) {
        client::check(&input);
    }
}

/// Found by the fuzzer: a disk that fails ends the server while a reply has left in part.
#[test]
fn a_reply_may_be_cut_by_the_end_of_a_server_whose_disk_has_failed() {
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
