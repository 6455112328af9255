//! Checks the bytes of every message and of the answer to every malformed input, and that docs/protocol.md shows
//! exactly these bytes.

use std::collections::BTreeMap;

use ipseity_core::{
    actor::{Actor, Effect, Event},
    ids::ConnectionId,
    time::Instant,
    words::{DecidedBy, ErrorCode, ErrorReply, Grants, Message},
};
use ipseity_frames::{FrameDecoder, Kind, Receiver, encode};
use ipseity_sim::{
    config::actor_config,
    goldens::{
        Refused, boot_too_far, error_reply, malformed, malformed_too, messages, not_a_peer,
        unfinished,
    },
};

/// Every kind that a frame can have.
fn kinds() -> impl Iterator<Item = Kind> {
    (0..=255).filter_map(Kind::from_u8)
}

#[test]
fn every_kind_has_a_golden_frame() {
    for kind in kinds() {
        assert!(
            messages()
                .iter()
                .any(|golden| Kind::from(&golden.message) == kind),
            "{kind}"
        );
    }
}

#[test]
fn every_message_is_encoded_to_its_golden_bytes() {
    for golden in messages() {
        let mut out = b"before".to_vec();
        encode(&golden.message, &mut out);
        assert_eq!(&out[..6], b"before", "{}", golden.name);
        assert_eq!(out[6..], golden.bytes, "{}", golden.name);
    }
}

#[test]
fn golden_bytes_are_decoded_to_their_message() {
    for golden in messages() {
        let mut decoder = FrameDecoder::new();
        decoder.restore(&golden.bytes);
        assert_eq!(
            decoder.next(golden.receiver),
            Ok(Some(golden.message)),
            "{}",
            golden.name
        );
        assert_eq!(decoder.next(golden.receiver), Ok(None), "{}", golden.name);
        assert!(decoder.rest().is_empty(), "{}", golden.name);
    }
}

#[test]
fn a_request_for_one_identity_may_also_have_the_long_form() {
    let mut decoder = FrameDecoder::new();
    decoder.restore(&ipseity_sim::goldens::hex(
        "000d 01 00000001 0000000000000000",
    ));
    assert_eq!(
        decoder.next(Receiver::Server),
        Ok(Some(Message::IdentityRequest { count: 1, after: 0 }))
    );
}

#[test]
fn every_malformed_input_is_answered_by_its_golden_error_reply() {
    for malformed in [malformed(), unfinished(), malformed_too()]
        .into_iter()
        .flatten()
    {
        let mut out = Vec::new();
        encode(
            &Message::ErrorReply(Box::new(malformed.error.reply())),
            &mut out,
        );
        assert_eq!(
            out,
            malformed.answer(),
            "{}: {}",
            malformed.name,
            malformed.error
        );
        assert!(malformed.error.code().closes(), "{}", malformed.name);
    }
}

/// The message in the request, and the errorReply in the bytes of its answer.
fn as_messages(refused: &Refused) -> (Message, ErrorReply) {
    let mut decoder = FrameDecoder::new();
    decoder.restore(&refused.request);
    let request = decoder.next(Receiver::Server).unwrap().unwrap();
    decoder.restore(&refused.answer());
    match decoder.next(Receiver::Client) {
        Ok(Some(Message::ErrorReply(error))) => (request, *error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stranger_who_says_that_it_is_a_peer_is_answered_by_the_golden_error_reply() {
    let (request, answer) = as_messages(&not_a_peer());
    assert_eq!(
        Grants::EVERYBODY.check(&request, DecidedBy::Address),
        Err(answer)
    );
    assert_eq!(Grants::ALL.check(&request, DecidedBy::Address), Ok(()));
}

#[test]
fn a_boot_that_is_too_far_is_answered_by_the_golden_error_reply() {
    let (request, answer) = as_messages(&boot_too_far());
    let Message::SyncRequest(sync) = request else {
        panic!("{request:?}");
    };
    let from = ConnectionId::new(0, 1);
    let mut effects = Vec::new();
    Actor::new(actor_config()).handle(
        Event::SyncRequest { from, sync },
        Instant::START,
        &mut effects,
    );
    let message = Message::ErrorReply(Box::new(answer));
    assert!(
        effects.contains(&Effect::Reply { to: from, message }),
        "{effects:?}"
    );
}

#[test]
fn an_error_reply_of_every_code_carries_its_number() {
    for code in ErrorCode::ALL {
        let mut out = Vec::new();
        let reply = ErrorReply::new(code, code.name());
        encode(&Message::ErrorReply(Box::new(reply)), &mut out);
        assert_eq!(out, error_reply(code.get(), code.name()));
    }
}

#[test]
fn the_protocol_page_shows_exactly_the_golden_bytes() {
    let mut goldens = BTreeMap::new();
    for golden in messages() {
        goldens.insert(golden.name.to_owned(), golden.bytes);
    }
    for malformed in [malformed(), unfinished()].into_iter().flatten() {
        goldens.insert(format!("{}-answer", malformed.name), malformed.answer());
        goldens.insert(malformed.name.to_owned(), malformed.bytes);
    }
    let (stranger, far) = (not_a_peer(), boot_too_far());
    goldens.insert("notAPeer-answer".to_owned(), stranger.answer());
    goldens.insert("bootTooFar-answer".to_owned(), far.answer());
    goldens.insert("bootTooFar".to_owned(), far.request);
    for (name, shown) in frames_shown(&protocol_page()) {
        let golden = goldens
            .remove(&name)
            .unwrap_or_else(|| panic!("the page shows {name:?}, which is unknown or shown before"));
        assert_eq!(shown, golden, "{name}");
    }
    let missing: Vec<String> = goldens.into_keys().collect();
    assert!(missing.is_empty(), "the page does not show {missing:?}");
}

#[test]
fn the_protocol_page_quotes_every_error_text_of_a_server() {
    let page = protocol_page();
    for malformed in malformed_too() {
        if malformed.receiver == Receiver::Server {
            assert!(page.contains(malformed.text), "{}", malformed.text);
        }
    }
}

#[test]
fn the_protocol_page_lists_every_kind_and_every_error_code() {
    let page = protocol_page();
    for kind in kinds() {
        let row = format!("| {} | `{kind}` |", kind as u8);
        assert!(page.contains(&row), "no row {row:?}");
    }
    for code in ErrorCode::ALL {
        let then = if code.closes() { "closes" } else { "goes on" };
        let row = format!("| {} | `{code}` | {then} |", code.get());
        assert!(page.contains(&row), "no row {row:?}");
    }
}

fn protocol_page() -> String {
    ipseity_harness::page::read("docs/protocol.md")
}

/// The fenced blocks whose info string is `frame NAME`: their names and their bytes. Each line has bytes in
/// hexadecimal, then `#` and their meaning.
fn frames_shown(page: &str) -> Vec<(String, Vec<u8>)> {
    let shown = |block: ipseity_harness::page::Fence| {
        let digits: String = block
            .text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .collect();
        let name = block.info.strip_prefix("frame ").unwrap().to_owned();
        (name, ipseity_sim::goldens::hex(&digits))
    };
    ipseity_harness::page::blocks(page, "frame")
        .into_iter()
        .map(shown)
        .collect()
}
