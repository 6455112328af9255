//! The files in `conformance/vectors` are what the code makes, and what they say is what the server and the pages say.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs};

use ipseity_conformance::{
    message::{decode, from_json, hex, to_json, unhex},
    texts::TEXTS,
    vectors::{File, action, files},
};
use ipseity_core::{identity::Identity, words::ErrorCode};
use ipseity_frames::Receiver;
use ipseity_harness::page;
use serde_json::Value;

fn file(name: &str) -> File {
    files().into_iter().find(|file| file.name == name).unwrap()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

#[test]
fn the_files_are_in_step() {
    for file in files() {
        let there = fs::read_to_string(file.path()).unwrap_or_default();
        let is: Value = serde_json::from_str(&there).unwrap_or_default();
        let should: Value = serde_json::from_str(&file.text()).unwrap();
        assert!(
            is == should,
            "conformance/vectors/{} is not what the code makes: \
             cargo run -p ipseity-conformance -- --write-vectors",
            file.name
        );
    }
}

#[test]
fn no_vector_stands_there_twice() {
    for file in files() {
        for (name, vectors) in &file.lists {
            let all: BTreeSet<String> = vectors.iter().map(Value::to_string).collect();
            assert_eq!(all.len(), vectors.len(), "{}: {name}", file.name);
            assert!(!all.is_empty(), "{}: {name}", file.name);
        }
    }
}

#[test]
fn every_message_of_a_client_and_to_a_client_is_there() {
    let file = file("frames.json");
    let kinds: BTreeSet<&str> = file
        .list("frames")
        .iter()
        .map(|vector| vector["message"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [
            "errorReply",
            "helloReply",
            "helloRequest",
            "identityReply",
            "identityRequest"
        ]
    );
    for vector in file.list("frames") {
        let bytes = unhex(text(vector, "bytes")).unwrap();
        let message = from_json(&vector["message"]).unwrap();
        assert_eq!(
            hex(&ipseity_conformance::message::bytes(&message)),
            hex(&bytes)
        );
        assert_eq!(to_json(&message).unwrap(), vector["message"]);
    }
}

#[test]
fn our_own_decoder_refuses_what_is_malformed() {
    for vector in file("malformed.json").list("malformed") {
        let bytes = unhex(text(vector, "bytes")).unwrap();
        let refused = decode(&bytes, Receiver::Client);
        assert!(refused.is_err(), "{vector}: {refused:?}");
    }
}

#[test]
fn our_own_identities_are_the_same() {
    let file = file("identities.json");
    for vector in file.list("identities") {
        let identity: Identity = text(vector, "decimal").parse().unwrap();
        for form in ["hex", "pair"] {
            assert_eq!(text(vector, form).parse(), Ok(identity), "{vector}");
        }
        assert_eq!(identity.sequence().to_string(), text(vector, "sequence"));
        assert_eq!(Value::from(identity.pid().get()), vector["pid"]);
    }
    for vector in file.list("also") {
        let identity: Identity = text(vector, "text").parse().unwrap();
        assert_eq!(identity.to_string(), text(vector, "decimal"), "{vector}");
    }
    for vector in file.list("invalid") {
        assert!(
            text(vector, "text").parse::<Identity>().is_err(),
            "{vector}"
        );
    }
}

/// Reads base32 in another way than the vectors were made.
fn from_base32(text: &str) -> Option<u64> {
    let plain = text
        .to_ascii_uppercase()
        .replace(['I', 'L'], "1")
        .replace('O', "0");
    let alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let places: Option<Vec<usize>> = plain.chars().map(|c| alphabet.find(c)).collect();
    let value = places?
        .into_iter()
        .fold(0, |value: u128, place| value * 32 + place as u128);
    (plain.chars().count() == 13 && value < 1 << 63).then_some(value as u64)
}

#[test]
fn base32_sorts_as_the_numbers_do() {
    let file = file("identities.json");
    let texts: Vec<&str> = file
        .list("identities")
        .iter()
        .map(|one| text(one, "base32"))
        .collect();
    assert!(texts.is_sorted(), "{texts:?}");
    for vector in file.list("identities") {
        let value = from_base32(text(vector, "base32")).unwrap();
        assert_eq!(value.to_string(), text(vector, "decimal"));
    }
    for vector in file.list("also_base32") {
        let value = from_base32(text(vector, "text")).unwrap();
        assert_eq!(value.to_string(), text(vector, "decimal"));
    }
    for vector in file.list("invalid_base32") {
        assert_eq!(from_base32(text(vector, "text")), None, "{vector}");
    }
    let used: BTreeSet<char> = texts.concat().chars().collect();
    assert_eq!(used.len(), 32, "{used:?}");
}

#[test]
fn our_own_addresses_are_the_same() {
    use ipseity_client::ServerAddress;
    let file = file("addresses.json");
    for vector in file.list("addresses") {
        let address: ServerAddress = text(vector, "text").parse().unwrap();
        let expected = &vector["address"];
        assert_eq!(address.host(), text(expected, "host"));
        assert_eq!(Value::from(address.port()), expected["port"]);
        assert_eq!(Value::from(address.is_tls()), expected["tls"]);
    }
    for vector in file.list("invalid") {
        assert!(
            text(vector, "text").parse::<ServerAddress>().is_err(),
            "{vector}"
        );
    }
}

#[test]
fn the_page_says_the_same_of_the_codes() {
    let page = page::read("docs/clients.md");
    let row = |what: &str| {
        let row = page
            .lines()
            .find(|line| line.contains(what) && line.starts_with("| `"));
        row.unwrap_or_else(|| panic!("no row of docs/clients.md says {what:?}"))
    };
    for (what, expected) in [
        ("goes on to the next server", "elsewhere"),
        ("**wrong cluster**", "wrongCluster"),
    ] {
        let named: BTreeSet<&str> = row(what).split('`').skip(1).step_by(2).collect();
        let known = ErrorCode::ALL
            .into_iter()
            .filter(|code| action(code.get()) == expected);
        assert_eq!(named, known.map(ErrorCode::name).collect(), "{what}");
    }
}

#[test]
fn the_page_has_every_text_of_an_error() {
    let page = page::read("docs/clients.md");
    for row in &TEXTS.rows {
        let class = match row.class.as_str() {
            "wrongCluster" => "wrong cluster",
            class => class,
        };
        let line = format!("| {class} | {} | `{}` |", row.when, row.text);
        assert!(page.lines().any(|there| there == line), "{line}");
    }
    for part in &TEXTS.parts {
        let line = format!("| {} | {} | `{}` |", part.part, part.when, part.text);
        assert!(page.lines().any(|there| there == line), "{line}");
    }
}
