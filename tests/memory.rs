//! How much memory decoding takes: none for the most frequent messages, and never as much as a length on the wire
//! only claims. Also, the actor and the mailbox give memory back.
//!
//! This is a binary of its own because `allocation_counter` replaces the allocator, which costs time on every
//! allocation.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use allocation_counter::measure;
use ipseity::{
    limits::FRAMES_IN_FLIGHT_MAX,
    mailbox::{Entry, Mailbox},
};
use ipseity_core::{
    actor::{Actor, Effect, Event, Outcome, Write, Written},
    identity::Pid,
    ids::{ConnectionId, Count},
    limits::EMPTY_LIST_ROOM_MAX,
    time::Instant,
    words::{Message, SyncMessage},
};
use ipseity_frames::{FrameDecoder, Receiver, WireError, encode, limits::FRAME_BYTES_MAX};
use ipseity_harness::lockstep;
use ipseity_sim::config::actor_config;
use ipseity_sim::goldens::messages;
use ipseity_sim::properties::{bytes_for, frames};
use ipseity_sim::world::{Setup, World};
use proptest::{prelude::*, sample::Index};

/// More than any golden message takes, and far less than the lengths that are claimed below.
const MESSAGE_BYTES_MAX: u64 = 4096;

/// Room for the texts of an error, in addition to what grows with the input.
const DECODING_BYTES_MAX: u64 = 2048;

/// More than any byte on the wire takes in memory, where lists grow by doubling.
const BYTES_PER_BYTE_MAX: u64 = 32;

#[test]
fn an_identity_request_and_its_reply_take_no_memory() {
    let mut decoder = FrameDecoder::new();
    decoder.restore(&[0, 1, 1, 0, 13, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 4, 1]);
    let mut out = Vec::with_capacity(4096);
    let memory = measure(|| {
        for expected in [1, 9] {
            let request = decoder.next(Receiver::Server).unwrap();
            let Some(Message::IdentityRequest { count, .. }) = request else {
                panic!("{request:?}");
            };
            assert_eq!(count, expected);
            encode(&Message::IdentityReply { first: 1025, count }, &mut out);
        }
    });
    assert_eq!(memory.count_total, 0, "{memory:?}");
    assert_eq!(out.len(), 30);
}

#[test]
fn a_short_message_takes_no_more_room_than_its_bytes() {
    for message in [
        Message::IdentityReply { first: 1, count: 1 },
        Message::StatusRequest,
        Message::DoneReply { sequence: 1 },
        Message::ErrorReply(Box::new(WireError::EmptyFrame.reply())),
    ] {
        let mut out = Vec::new();
        encode(&message, &mut out);
        assert!(out.capacity() < 256, "{message:?}: {}", out.capacity());
    }
}

#[test]
fn a_length_that_claims_more_than_its_body_has_takes_no_memory() {
    let mut decoder = FrameDecoder::new();
    // The claim is put over every eight bytes of every message, so that it meets every text and every list.
    for golden in messages() {
        for claimed in [301u64, 65_000, 65_536, 1 << 32, u64::MAX] {
            for at in 3..golden.bytes.len().saturating_sub(7) {
                let mut bytes = golden.bytes.clone();
                bytes[at..at + 8].copy_from_slice(&claimed.to_be_bytes());
                decoder.restore(&bytes);
                let memory = measure(|| drop(decoder.next(golden.receiver)));
                assert!(
                    memory.bytes_max <= MESSAGE_BYTES_MAX,
                    "{} with {claimed} at {at} takes {}",
                    golden.name,
                    memory.bytes_max
                );
            }
        }
    }
}

#[test]
fn memory_of_a_burst_that_waited_for_the_disk_is_given_back() {
    let mut actor = Actor::new(actor_config());
    let request = Event::IdentityRequest {
        from: ConnectionId::new(1, 1),
        count: Count::saturating(1),
        after: 0,
    };
    let memory = measure(|| {
        let mut effects: Vec<Effect> = Vec::new();
        for _ in 0..FRAMES_IN_FLIGHT_MAX {
            actor.handle(request.clone(), Instant::START, &mut effects);
        }
        assert!(actor.tally().waited > 20_000, "{:?}", actor.tally());
        let raises = |effects: &[Effect]| {
            let raises = effects
                .iter()
                .filter(|effect| matches!(effect, Effect::Write(Write::Ceiling { .. })));
            raises.count()
        };
        let mut durable = 0;
        while durable < raises(&effects) {
            actor.handle(
                Event::Written(Written::Ceiling(Outcome::Durable)),
                Instant::START,
                &mut effects,
            );
            durable += 1;
        }
        assert_eq!(actor.sequence().get(), FRAMES_IN_FLIGHT_MAX as u64);
    });
    let kept = memory.bytes_current as usize;
    assert!(kept <= EMPTY_LIST_ROOM_MAX * 100, "{memory:?}");
}

#[test]
fn entries_left_in_a_mailbox_are_freed_with_it() {
    let memory = measure(|| {
        let mut mailbox = Mailbox::new();
        for _ in 0..3 {
            let (from, error) = (
                ConnectionId::new(1, 1),
                Box::new(WireError::EmptyFrame.reply()),
            );
            mailbox.dispatch(Entry::Event(Event::Unknown { from, error }));
        }
        drop(mailbox.take());
    });
    assert!(memory.count_total >= 4, "{memory:?}");
    assert_eq!(memory.bytes_current, 0, "{memory:?}");
}

/// How many peers a server has in the next test.
const PEERS: u16 = 300;

#[test]
fn the_addresses_in_a_long_list_take_no_memory_of_their_own() {
    let mut setup = Setup::new(1);
    setup.is_traced = false;
    setup.limits.connections_max = 1000;
    setup.limits.trust.operators = vec!["0.0.0.0/0".parse().unwrap()];
    let mut world = World::new();
    world.start(setup);
    let mut peers: Vec<_> = (0..PEERS).map(|_| world.connect(0)).collect();
    for (peer, pid) in peers.iter_mut().zip(2..) {
        let message = SyncMessage {
            pid: Pid::new(pid).unwrap(),
            session: u64::from(pid),
            ..lockstep::peer()
        };
        let mut bytes = Vec::new();
        encode(&Message::SyncRequest(Box::new(message)), &mut bytes);
        peer.send(&bytes);
    }
    world.drive();
    let mut operator = world.connect(0);
    for look in [
        Message::StatusRequest,
        Message::MembersRequest { from: Pid::MIN },
    ] {
        let mut bytes = Vec::new();
        encode(&look, &mut bytes);
        let mut allocations = u64::MAX;
        // In the first rounds buffers grow to their size.
        for _ in 0..3 {
            operator.send(&bytes);
            world.net().run_due_events();
            allocations = measure(|| {
                world.step(0);
            })
            .count_total;
            world.drive();
            let listed = match &operator.replies()[..] {
                [Message::StatusReply(status)] => status.peers.len(),
                [Message::MembersReply(members)] => members.members.len(),
                other => panic!("{other:?}"),
            };
            assert_eq!(listed, usize::from(PEERS));
        }
        assert!(
            allocations < u64::from(PEERS) / 2,
            "{look:?}: {allocations}"
        );
    }
}

proptest! {
    // A failure prints the smallest input that fails; a file beside the sources would say no more.
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// For frames up to the longest, whatever the lengths in them claim.
    #[test]
    fn decoding_takes_memory_only_for_bytes_that_have_arrived(
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
