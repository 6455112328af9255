//! Messages, their fields and their bytes: the blocks of docs/protocol.md that a client needs.

use ipseity_core::words::Message;
use ipseity_frames::Receiver;
use ipseity_harness::page;
use serde_json::{Value, json};

use super::File;
use crate::message::{decode, hex, to_json, unhex};

pub(super) fn file() -> File {
    let page = page::read("docs/protocol.md");
    let mut frames: Vec<Value> = Vec::new();
    for block in page::blocks(&page, "frame") {
        let name = block.info.trim_start_matches("frame ");
        let bytes = bytes_of(&block.text);
        if let Some(vector) = vector(name, &bytes)
            && !frames.iter().any(|other| other["bytes"] == vector["bytes"])
        {
            frames.push(vector);
        }
    }
    File {
        name: "frames.json",
        about: "Messages of clients and servers: the blocks of docs/protocol.md, made from that page. A client \
                encodes those of the client, and decodes those of the server.",
        lists: vec![("frames", frames)],
    }
}

/// The bytes of a block, without its remarks.
fn bytes_of(block: &str) -> Vec<u8> {
    let digits: Vec<&str> = block
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .collect();
    unhex(&digits.join(" ")).expect("a block of docs/protocol.md has hexadecimal digits")
}

/// The vector of a block, if it is a message that a client sends or gets.
fn vector(name: &str, bytes: &[u8]) -> Option<Value> {
    [("client", Receiver::Server), ("server", Receiver::Client)]
        .into_iter()
        .find_map(|(sender, receiver)| {
            let message: Message = decode(bytes, receiver).ok()?;
            let message = to_json(&message)?;
            Some(json!({"name": name, "sender": sender, "message": message, "bytes": hex(bytes)}))
        })
}
