//! The tests of the decoder and the encoder.

use super::*;
use ipseity_core::{
    identity::Pid,
    words::{BoundsStatus, Counters, Standing, Status, StorageStatus, TlsStatus, VitalsStatus},
};

#[test]
fn every_receiver_takes_frames_up_to_the_longest_of_its_kinds() {
    for receiver in [Receiver::Server, Receiver::Dialer, Receiver::Client] {
        let longest = (0..=255)
            .filter_map(Kind::from_u8)
            .filter(|kind| receiver.takes(*kind))
            .map(|kind| crate::length::length_bounds(kind).1)
            .max();
        assert_eq!(Some(receiver.length_max()), longest, "{receiver:?}");
    }
}

#[test]
fn the_shortest_status_has_the_least_length() {
    let status = Status {
        version: String::new(),
        cluster: "c".parse().unwrap(),
        pid: Pid::MIN,
        incarnation: 0,
        boot: 0,
        session: 0,
        standing: Standing::Serving,
        sequence: 0,
        uptime_ms: 0,
        connections: 0,
        connections_max: 0,
        counters: Counters::default(),
        storage: StorageStatus::default(),
        peers_total: 0,
        peers: Vec::new(),
        bounds: BoundsStatus::default(),
        tls: TlsStatus::default(),
        vitals: VitalsStatus::default(),
        join: None,
        objection: None,
        store: Default::default(),
        spin: Default::default(),
    };
    let (least, _) = crate::length::length_bounds(Kind::StatusReply);
    assert_eq!(1 + body_bytes(&status), usize::from(least));
}

#[test]
fn what_is_written_directly_is_what_bincode_would_write() {
    for message in [
        Message::IdentityRequest { count: 1, after: 1 },
        Message::IdentityRequest {
            count: 0x0102_0304,
            after: 0x0506_0708_090a_0b0c,
        },
    ] {
        let (mut at_once, mut by_bincode) = (vec![7], vec![7]);
        encode(&message, &mut at_once);
        encode_other(&message, &mut by_bincode);
        assert_eq!(at_once, by_bincode);
    }
    let first = Identity::from_u64(0x0506_0708_090a_0b0c).unwrap();
    let (mut at_once, mut by_bincode) = (vec![7], vec![7]);
    encode_identities(first, 0x0102_0304, &mut at_once);
    let (first, count) = (first.get(), 0x0102_0304);
    encode_other(&Message::IdentityReply { first, count }, &mut by_bincode);
    assert_eq!(at_once, by_bincode);
}

#[test]
fn an_identity_request_that_is_read_directly_is_what_bincode_would_read() {
    for frame in [
        &[0, 1, 1][..],
        &[0, 13, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        &[0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut decoder = FrameDecoder::new();
        decoder.restore(frame);
        let (count, after) = decoder.identity_requests().next().unwrap();
        assert_eq!(decoder.rest(), []);
        decoder.restore(frame);
        assert_eq!(
            decoder.next(Receiver::Server),
            Ok(Some(Message::IdentityRequest { count, after }))
        );
        assert_eq!(decoder.rest(), []);
        decoder.restore(frame);
        let bare = decoder.take_bare_identity_requests(2);
        assert_eq!(
            bare,
            usize::from((count, after) == (1, 0) && frame.len() == 3)
        );
        assert_eq!(decoder.rest(), &frame[3 * bare..]);
        // An unfinished one waits for the rest.
        decoder.restore(&frame[..frame.len() - 1]);
        assert_eq!(decoder.identity_requests().next(), None);
        assert_eq!(decoder.rest(), &frame[..frame.len() - 1]);
    }
    for other in [&[0, 2, 1, 0][..], &[1, 1, 1], &[0, 1, 5], &[0, 13, 2]] {
        let mut decoder = FrameDecoder::new();
        decoder.restore(other);
        assert_eq!(decoder.identity_requests().next(), None);
        assert_eq!(decoder.rest(), other);
    }
}

#[test]
fn bare_requests_are_taken_from_the_front_up_to_the_number_asked_for() {
    for tail in [
        &[][..],
        &[0],
        &[0, 1],
        &[0, 1, 5],
        &[0, 13, 1, 0],
        &[1, 1, 1],
    ] {
        for requests in 0..=3 * BARE_AT_ONCE {
            let mut frames = BARE_REQUEST.repeat(requests);
            frames.extend_from_slice(tail);
            for most in 0..=3 * BARE_AT_ONCE {
                let mut decoder = FrameDecoder::new();
                decoder.restore(&frames);
                let taken = decoder.take_bare_identity_requests(most);
                assert_eq!(taken, requests.min(most));
                assert_eq!(decoder.rest(), &frames[taken * BARE_REQUEST.len()..]);
            }
            let mut decoder = FrameDecoder::new();
            decoder.restore(&frames);
            let is_alone = requests == 1 && tail.is_empty();
            assert_eq!(decoder.take_lone_bare_identity_request(), is_alone);
            let taken = if is_alone { 3 } else { 0 };
            assert_eq!(decoder.rest(), &frames[taken..]);
        }
    }
}
