//! Frames in pieces. Wherever a stream is cut, the same messages and the same errors come out, each at the earliest
//! byte that allows it. Any bytes at all give messages or an error, and nothing else.

// Long because: it also generates every kind of message.

use ipseity_core::{
    identity::Pid,
    limits::{ERROR_TEXT_BYTES_MAX, VERSION_BYTES_MAX},
    words::{
        BoundsStatus, CertificateStatus, ClusterName, CodecStatus, Counters, ErrorReply, Forget,
        GrantCounts, Hello, Histogram, Introduction, JoinStatus, Member, Members, Message,
        Objection, ObjectionStatus, Overrule, PeerState, PeerStatus, SpinStatus, Standing, Status,
        StorageStatus, StoreKind, StoreState, StoreStatus, SyncMessage, TlsStatus, Told,
        VitalsStatus, WIRE_VERSION, WriteTimes,
    },
};
use ipseity_frames::{
    FrameDecoder, Kind, Receiver, WireError, encode,
    limits::{FRAME_BYTES_MAX, READ_BUFFER_BYTES},
};
use ipseity_sim::goldens::{
    Golden, Malformed, malformed, malformed_too, members, messages, status, unfinished,
};
use proptest::{collection::vec, option, prelude::*};

const RECEIVERS: [Receiver; 3] = [Receiver::Server, Receiver::Dialer, Receiver::Client];

/// The result of reading a stream.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<Message>,
    error: Option<WireError>,
    /// The bytes that belong to no message.
    rest: Vec<u8>,
}

/// Reads a stream that arrives in these pieces, as a server does it: one decoder for all connections, and
/// between two pieces the connection keeps only what `rest` says.
fn read<'a>(
    decoder: &mut FrameDecoder,
    receiver: Receiver,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for mut piece in pieces {
        decoder.restore(&outcome.rest);
        while !piece.is_empty() && outcome.error.is_none() {
            let space = decoder.space();
            assert!(!space.is_empty());
            let (now, later) = piece.split_at(space.len().min(piece.len()));
            space[..now.len()].copy_from_slice(now);
            decoder.filled(now.len());
            piece = later;
            loop {
                match decoder.next(receiver) {
                    Ok(Some(message)) => outcome.messages.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        // Asking again gives the same error.
                        assert_eq!(decoder.next(receiver), Err(error.clone()));
                        outcome.error = Some(error);
                        break;
                    }
                }
            }
        }
        outcome.rest = [decoder.rest(), piece].concat();
        // Bytes of another connection come in between.
        decoder.restore(b"\0\x0d\x01another");
    }
    outcome
}

fn byte_by_byte(bytes: &[u8]) -> std::slice::Chunks<'_, u8> {
    bytes.chunks(1)
}

fn encoded<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, &mut bytes);
    }
    bytes
}

/// All golden frames that this receiver takes, one after the other.
fn pipelined(receiver: Receiver) -> (Vec<u8>, Vec<Message>) {
    messages()
        .into_iter()
        .filter(|golden| receiver.takes(Kind::from(&golden.message)))
        .map(|golden| (golden.bytes, golden.message))
        .fold(Default::default(), |(mut bytes, mut messages), golden| {
            bytes.extend(golden.0);
            messages.push(golden.1);
            (bytes, messages)
        })
}

#[test]
fn a_frame_may_be_cut_anywhere() {
    let mut decoder = FrameDecoder::new();
    for Golden {
        name,
        receiver,
        message,
        bytes,
    } in messages()
    {
        let whole = Outcome {
            messages: vec![message],
            ..Outcome::default()
        };
        for at in 0..=bytes.len() {
            let (one, other) = bytes.split_at(at);
            assert_eq!(
                read(&mut decoder, receiver, [one, other]),
                whole,
                "{name} cut at {at}"
            );
            if at < bytes.len() {
                let begun = Outcome {
                    rest: one.to_vec(),
                    ..Outcome::default()
                };
                assert_eq!(
                    read(&mut decoder, receiver, [one]),
                    begun,
                    "{name} as far as {at}"
                );
            }
        }
        let bytes = byte_by_byte(&bytes);
        assert_eq!(read(&mut decoder, receiver, bytes), whole, "{name}");
    }
}

#[test]
fn pipelined_frames_may_be_cut_anywhere() {
    let mut decoder = FrameDecoder::new();
    for receiver in RECEIVERS {
        let (bytes, messages) = pipelined(receiver);
        let whole = Outcome {
            messages,
            ..Outcome::default()
        };
        for at in 0..=bytes.len() {
            let (one, other) = bytes.split_at(at);
            let outcome = read(&mut decoder, receiver, [one, other]);
            assert_eq!(outcome, whole, "{receiver:?}, cut at {at}");
        }
        for length in 1..=bytes.len() {
            let outcome = read(&mut decoder, receiver, bytes.chunks(length));
            assert_eq!(outcome, whole, "{receiver:?}, in pieces of {length}");
        }
    }
}

#[test]
fn a_malformed_frame_is_refused_at_the_earliest_byte() {
    let mut decoder = FrameDecoder::new();
    for Malformed {
        name,
        receiver,
        bytes,
        error,
        judged_at,
        ..
    } in malformed().into_iter().chain(malformed_too())
    {
        // Alone, and after good messages, which are still taken.
        for (before, messages) in [(Vec::new(), Vec::new()), pipelined(receiver)] {
            for arrived in 0..=bytes.len() {
                let stream = [&before, &bytes[..arrived]].concat();
                let judged = arrived >= judged_at;
                let expected = Outcome {
                    messages: messages.clone(),
                    error: judged.then(|| error.clone()),
                    rest: bytes[..arrived].to_vec(),
                };
                let at_once = read(&mut decoder, receiver, [&stream[..]]);
                assert_eq!(at_once, expected, "{name}, {arrived} bytes");
                let mut in_bytes = read(&mut decoder, receiver, byte_by_byte(&stream));
                if judged {
                    // The bytes after the one that decided it are not looked at.
                    in_bytes.rest = expected.rest.clone();
                }
                assert_eq!(in_bytes, expected, "{name}, {arrived} bytes one by one");
            }
        }
    }
}

#[test]
fn the_error_of_an_unfinished_frame_counts_the_bytes_that_arrived() {
    let mut decoder = FrameDecoder::new();
    for unfinished in unfinished() {
        let (before, messages) = pipelined(unfinished.receiver);
        let stream = [before, unfinished.bytes.clone()].concat();
        let outcome = read(&mut decoder, unfinished.receiver, byte_by_byte(&stream));
        let expected = Outcome {
            messages,
            error: None,
            rest: unfinished.bytes,
        };
        assert_eq!(outcome, expected);
        match unfinished.error {
            WireError::Incomplete { bytes } | WireError::Stalled { bytes, .. } => {
                assert_eq!(bytes, outcome.rest.len());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_body_that_is_cut_short_or_too_long_is_never_a_message() {
    let mut decoder = FrameDecoder::new();
    for golden in messages() {
        let may_go_on = matches!(golden.message, Message::StatusReply(_));
        let kind = Kind::from(&golden.message);
        let body = &golden.bytes[3..];
        let longer = [body, &[0; 20]].concat();
        for bytes in 0..longer.len() {
            // An identityRequest has two lengths.
            if bytes == body.len() || (kind as u8 == 1 && (bytes == 0 || bytes == 12)) {
                continue;
            }
            let length = u16::try_from(1 + bytes).unwrap().to_be_bytes();
            let frame = [&length[..], &[kind as u8], &longer[..bytes]].concat();
            let outcome = read(&mut decoder, golden.receiver, [&frame[..]]);
            if may_go_on && bytes > body.len() {
                // A server of a later version shows more.
                assert_eq!(outcome.messages, std::slice::from_ref(&golden.message));
                assert_eq!(outcome.error, None);
                continue;
            }
            assert_eq!(outcome.messages, [], "{}, {bytes} bytes", golden.name);
            let error = outcome.error.expect("its error is found once it is whole");
            if bytes > body.len() {
                let over = bytes - body.len();
                assert!(
                    error == WireError::LeftOver { kind, bytes: over }
                        || matches!(error, WireError::BadLength { .. }),
                    "{}, {bytes} bytes: {error}",
                    golden.name
                );
            }
        }
    }
}

#[test]
fn the_rest_of_a_read_that_filled_the_buffer_can_be_kept_and_restored() {
    // A read may fill the whole buffer while there is no room for another message.
    let bytes = [0, 1, 1].repeat(READ_BUFFER_BYTES / 3 + 1);
    let mut decoder = FrameDecoder::new();
    decoder.space().copy_from_slice(&bytes[..READ_BUFFER_BYTES]);
    decoder.filled(READ_BUFFER_BYTES);
    let rest = decoder.rest().to_vec();
    assert_eq!(rest.len(), READ_BUFFER_BYTES);

    decoder.restore(&rest);
    let mut taken = 0;
    while decoder.next(Receiver::Server).unwrap().is_some() {
        taken += 1;
    }
    assert_eq!(taken, READ_BUFFER_BYTES / 3);
    assert_eq!(decoder.rest(), &bytes[taken * 3..READ_BUFFER_BYTES]);
    assert!(!decoder.space().is_empty());
}

#[test]
fn there_is_space_after_a_frame_that_begins_late_in_the_buffer() {
    let mut decoder = FrameDecoder::new();
    let requests = [0, 1, 1].repeat(READ_BUFFER_BYTES / 3 - 1);
    let bytes = [&requests[..], &[0, 13]].concat();
    decoder.space()[..bytes.len()].copy_from_slice(&bytes);
    decoder.filled(bytes.len());
    while decoder.next(Receiver::Server).unwrap().is_some() {}
    assert_eq!(decoder.space().len(), READ_BUFFER_BYTES - 2);
    assert_eq!(decoder.rest(), [0, 13]);
}

#[test]
fn a_status_with_too_many_peers_is_cut_to_a_frame() {
    for (address_bytes, peers) in [(1, 4000), (100, 600), (1000, 70), (70_000, 1)] {
        let mut long = status();
        long.peers = vec![
            PeerStatus {
                address: "x".repeat(address_bytes).into(),
                ..status().peers[0].clone()
            };
            peers
        ];
        let frame = encoded([&Message::StatusReply(Box::new(long.clone()))]);
        assert!(frame.len() <= FRAME_BYTES_MAX);

        let outcome = read(&mut FrameDecoder::new(), Receiver::Client, [&frame[..]]);
        let [Message::StatusReply(cut)] = &outcome.messages[..] else {
            panic!("{outcome:?}");
        };
        // All peers that fit are there, and the rest of the status is unchanged.
        let peer_bytes = 8 + address_bytes + 3 + 1 + 8 + 9;
        assert!(frame.len() + peer_bytes > FRAME_BYTES_MAX);
        long.peers.truncate(cut.peers.len());
        assert_eq!(**cut, long);
    }
}

#[test]
fn a_status_that_just_fits_keeps_its_last_peer_and_one_byte_more_drops_it() {
    let mut long = status();
    long.peers.truncate(1);
    long.peers[0].address = "".into();
    let room = FRAME_BYTES_MAX - encoded([&Message::StatusReply(Box::new(long.clone()))]).len();
    for (bytes, peers) in [(room - 1, 1), (room, 1), (room + 1, 0), (room + 7, 0)] {
        long.peers[0].address = "x".repeat(bytes).into();
        let frame = encoded([&Message::StatusReply(Box::new(long.clone()))]);
        let outcome = read(&mut FrameDecoder::new(), Receiver::Client, [&frame[..]]);
        let [Message::StatusReply(cut)] = &outcome.messages[..] else {
            panic!("{outcome:?}");
        };
        assert_eq!(cut.peers.len(), peers, "{bytes} of {room} bytes");
    }
}

#[test]
fn members_that_do_not_fit_in_a_frame_are_cut_and_the_rest_can_be_asked_for() {
    for (address_bytes, count) in [(0, 1200), (21, 1024), (261, 1024)] {
        let all: Vec<Member> = (0..count)
            .map(|index| Member {
                pid: Pid::new(index % 1024).unwrap(),
                address: "x".repeat(address_bytes).into(),
                ..members().members[0].clone()
            })
            .collect();
        let mut read_so_far = Vec::new();
        while read_so_far.len() < all.len() {
            let rest = &all[read_so_far.len()..];
            let long = Members {
                total: rest.len() as u32,
                members: rest.to_vec(),
            };
            let frame = encoded([&Message::MembersReply(Box::new(long))]);
            assert!(frame.len() <= FRAME_BYTES_MAX);

            let outcome = read(&mut FrameDecoder::new(), Receiver::Client, [&frame[..]]);
            let [Message::MembersReply(cut)] = &outcome.messages[..] else {
                panic!("{outcome:?}");
            };
            assert_eq!(cut.total as usize, rest.len());
            // All members that fit are there.
            let member_bytes = 53 + 8 + address_bytes;
            let is_cut = cut.members.len() < rest.len();
            assert_eq!(is_cut, frame.len() + member_bytes > FRAME_BYTES_MAX);
            read_so_far.extend(cut.members.clone());
        }
        assert_eq!(read_so_far, all);
    }
}

proptest! {
    // A failure prints the smallest input that fails; a file beside the sources would say no more.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_the_same_messages_in_any_pieces(
        stream in any_stream(),
        cuts in vec(1..40usize, 0..60),
        receiver in prop::sample::select(&RECEIVERS),
    ) {
        let mut decoder = FrameDecoder::new();
        let whole = read(&mut decoder, receiver, [&stream[..]]);
        let mut pieces = Vec::new();
        let mut behind = &stream[..];
        for cut in cuts {
            let (piece, rest) = behind.split_at(cut.min(behind.len()));
            pieces.push(piece);
            behind = rest;
        }
        pieces.push(behind);
        let mut in_pieces = read(&mut decoder, receiver, pieces);
        if whole.error.is_some() {
            in_pieces.rest = whole.rest.clone();
        }
        prop_assert_eq!(&in_pieces, &whole);
    }

    #[test]
    fn decoded_messages_encode_back_to_their_bytes(
        stream in any_stream(),
        receiver in prop::sample::select(&RECEIVERS),
    ) {
        let outcome = read(&mut FrameDecoder::new(), receiver, [&stream[..]]);
        let taken = &stream[..stream.len() - outcome.rest.len()];
        // The only message with two forms is made short, as it is encoded.
        let long = ipseity_sim::goldens::hex("000d 01 00000001 0000000000000000");
        let mut expected = Vec::new();
        let mut behind = taken;
        while let [high, low, ..] = behind {
            let (frame, rest) = behind.split_at(2 + usize::from(u16::from_be_bytes([*high, *low])));
            expected.extend_from_slice(if frame == long { &[0, 1, 1] } else { frame });
            behind = rest;
        }
        prop_assert_eq!(encoded(&outcome.messages), expected);
    }

    #[test]
    fn an_encoded_message_decodes_to_itself(messages in vec(any_message(), 0..8)) {
        let mut decoder = FrameDecoder::new();
        for message in messages {
            let receiver = RECEIVERS
                .into_iter()
                .find(|receiver| receiver.takes(Kind::from(&message)))
                .expect("every kind is taken by someone");
            let frame = encoded([&message]);
            let outcome = read(&mut decoder, receiver, [&frame[..]]);
            prop_assert_eq!(
                outcome,
                Outcome { messages: vec![message], ..Outcome::default() }
            );
        }
    }
}

/// Frames in order, frames with a byte changed, frames of any kind with any body, and noise.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let frame = || any_message().prop_map(|message| encoded([&message]));
    let changed =
        (frame(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut frame, at, byte)| {
            *at.get_mut(&mut frame) = byte;
            frame
        });
    let any_body = (
        prop_oneof![1..=13u8, Just(255), any::<u8>()],
        vec(any::<u8>(), 0..80),
    )
        .prop_map(|(kind, body)| [&[0, 1 + body.len() as u8, kind][..], &body].concat());
    let piece = prop_oneof![
        8 => frame(),
        2 => changed,
        2 => any_body,
        1 => vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => (any_count(), any::<u64>())
            .prop_map(|(count, after)| Message::IdentityRequest { count, after }),
        1 => Just(Message::IdentityRequest { count: 1, after: 0 }),
        2 => (any::<u64>(), any_count())
            .prop_map(|(first, count)| Message::IdentityReply { first, count }),
        2 => any_sync().prop_map(|sync| Message::SyncRequest(Box::new(sync))),
        2 => any_sync().prop_map(|sync| Message::SyncReply(Box::new(sync))),
        1 => Just(Message::StatusRequest),
        1 => any_status().prop_map(|status| Message::StatusReply(Box::new(status))),
        1 => any_objection().prop_map(|objection| Message::Objection(Box::new(objection))),
        1 => any_overrule().prop_map(|overrule| Message::Overrule(Box::new(overrule))),
        1 => any_pid().prop_map(|from| Message::MembersRequest { from }),
        1 => (any::<u32>(), vec(any_member(), 0..5))
            .prop_map(|(total, members)| Message::MembersReply(Box::new(Members { total, members }))),
        1 => any_forget().prop_map(|what| Message::ForgetRequest { what }),
        1 => any::<bool>().prop_map(|named| Message::HelloRequest(Box::new(Hello {
            cluster: named.then(|| "ipseity".parse().unwrap()),
        }))),
        1 => (any_text(VERSION_BYTES_MAX), any::<u16>(), any::<u32>(), any_pid()).prop_map(
            |(version, wire_version, count_max, pid)| Message::HelloReply(Box::new(Introduction {
                cluster: "ipseity".parse().unwrap(),
                version,
                wire_version,
                count_max,
                pid,
                standing: Standing::Joining,
            }))
        ),
        1 => any::<u64>().prop_map(|above| Message::AdvanceRequest { above }),
        1 => any::<u64>().prop_map(|sequence| Message::DoneReply { sequence }),
        1 => (any::<u16>(), any_text(ERROR_TEXT_BYTES_MAX))
            .prop_map(|(code, message)| Message::ErrorReply(Box::new(ErrorReply { code, message }))),
    ]
}

fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![0..10u32, any::<u32>()]
}

fn any_pid() -> impl Strategy<Value = Pid> {
    (0..=Pid::MAX.get()).prop_filter_map("a pid", Pid::new)
}

fn any_text(bytes_max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..40).prop_map(move |chars| {
        let mut text = String::from_iter(chars);
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    })
}

fn any_cluster() -> impl Strategy<Value = ClusterName> {
    any_text(255).prop_map(|text| text.parse().unwrap_or_default())
}

fn any_sync() -> impl Strategy<Value = SyncMessage> {
    let numbers = (any::<u128>(), any::<[u64; 3]>());
    (any_cluster(), any_pid(), numbers).prop_map(|(cluster, pid, numbers)| {
        let (incarnation, [boot, session, sequence]) = numbers;
        SyncMessage {
            version: WIRE_VERSION,
            told: Told::default(),
            cluster,
            pid,
            incarnation,
            boot,
            session,
            sequence,
            advertise: String::new(),
        }
    })
}

fn any_status() -> impl Strategy<Value = Status> {
    let standing = prop::sample::select(&Standing::ALL);
    let errors = vec(any::<(u16, u64)>(), 0..15);
    (
        any_text(20),
        any_sync(),
        standing,
        any::<[u64; 15]>(),
        (any::<[u32; 3]>(), any::<bool>(), errors),
        vec(any_peer(), 0..5),
        (
            any_tls(),
            any_vitals(),
            any_join(),
            any_shown_objection(),
            any::<[u64; 3]>(),
        ),
    )
        .prop_map(|(version, sync, standing, numbers, more, peers, last)| {
            let (tls, vitals, join, objection, [spins, met, took_us]) = last;
            let ([connections, connections_max, peers_total], durable, errors) = more;
            let [
                uptime_ms,
                n1,
                n2,
                n3,
                n4,
                n5,
                n6,
                n7,
                n8,
                n9,
                n10,
                n11,
                n12,
                n13,
                n14,
            ] = numbers;
            Status {
                version,
                cluster: sync.cluster,
                pid: sync.pid,
                incarnation: sync.incarnation,
                boot: sync.boot,
                session: sync.session,
                standing,
                sequence: sync.sequence,
                uptime_ms,
                connections,
                connections_max,
                counters: Counters {
                    accepted: n1,
                    identity_requests: n2,
                    identities: n3,
                    waited: n4,
                    sync_requests: n5,
                    sync_replies: n6,
                    absorbed: n7,
                    errors,
                },
                storage: StorageStatus {
                    durable,
                    ceiling: n8,
                    skipped: n9,
                    writes: n10,
                    longest_write_us: n11,
                    current_write_us: n12,
                },
                peers_total,
                peers,
                bounds: BoundsStatus {
                    waiting_for_disk: n13,
                    log_lines_dropped: n14,
                    pending_bytes: n1,
                    cut_off: n2,
                    refused_for_address: n3,
                    closed_idle: n4,
                    advance_max: n5,
                },
                tls,
                vitals,
                join,
                objection,
                store: StoreStatus {
                    kind: StoreKind::ALL[n1 as usize % StoreKind::ALL.len()],
                    state: StoreState::ALL[n2 as usize % StoreState::ALL.len()],
                    confirmed_us: n3,
                    target: format!("etcd://a{n4}:2379/ipseity"),
                    answered_us: n5,
                    doubts: n1,
                    leases_lost: n2,
                    fenced: n3 % 2 == 1,
                },
                spin: SpinStatus {
                    spins,
                    met,
                    took_us,
                },
            }
        })
}

fn any_join() -> impl Strategy<Value = Option<JoinStatus>> {
    any::<Option<[u32; 3]>>().prop_map(|counts| {
        counts.map(|[accepted, confirmed, needed]| JoinStatus {
            accepted,
            confirmed,
            needed,
        })
    })
}

fn any_shown_objection() -> impl Strategy<Value = Option<ObjectionStatus>> {
    let pid = prop::option::of(any_pid());
    let texts = (any_text(261), any_text(ERROR_TEXT_BYTES_MAX));
    let objection =
        (any::<u64>(), pid, texts).prop_map(|(above, pid, (peer, reason))| ObjectionStatus {
            above,
            peer,
            pid,
            reason,
        });
    prop::option::of(objection)
}

fn any_vitals() -> impl Strategy<Value = VitalsStatus> {
    let histogram = || {
        let buckets = vec(any::<(u64, u64)>(), 0..4);
        (buckets, any::<[u64; 2]>()).prop_map(|(buckets, [above, sum_us])| Histogram {
            buckets,
            above,
            sum_us,
        })
    };
    let codec = (any_text(10), any::<[u64; 3]>(), any::<[u32; 5]>());
    let codec = codec.prop_map(|(name, numbers, connections)| {
        let [identity_requests, identity_requests_refused, identities] = numbers;
        let [none, take, look, sync, operate] = connections;
        CodecStatus {
            name,
            identity_requests,
            identity_requests_refused,
            identities,
            connections: GrantCounts {
                none,
                take,
                look,
                sync,
                operate,
            },
        }
    });
    let histograms = (histogram(), histogram());
    let lists = (
        vec(any::<(u8, u64)>(), 0..4),
        vec(codec, 0..3),
        vec(any::<(u16, u64)>(), 0..4),
    );
    (histograms, lists, any::<[u64; 5]>()).prop_map(
        |((turn_times, times), (events, codecs, refusals), numbers)| {
            let [turns, mailbox, mailbox_max, demand_per_second, failed] = numbers;
            VitalsStatus {
                turns,
                turn_times,
                mailbox,
                mailbox_max,
                events,
                codecs,
                demand_per_second,
                writes: WriteTimes { times, failed },
                refusals,
            }
        },
    )
}

fn any_tls() -> impl Strategy<Value = TlsStatus> {
    let certificate = (any_text(30), any_text(100), any::<u64>());
    let certificate = certificate.prop_map(|(purpose, name, expires_in_s)| CertificateStatus {
        purpose,
        name,
        expires_in_s,
    });
    let numbers = (any::<bool>(), any::<[u64; 5]>());
    (numbers, vec(certificate, 0..3)).prop_map(|((offered, numbers), certificates)| {
        let [
            connections,
            handshakes,
            handshakes_failed,
            handshakes_under_way,
            longest_wait_us,
        ] = numbers;
        TlsStatus {
            offered,
            connections,
            handshakes,
            handshakes_failed,
            handshakes_under_way,
            longest_wait_us,
            certificates,
        }
    })
}

fn any_forget() -> impl Strategy<Value = Forget> {
    prop_oneof![
        any_pid().prop_map(Forget::All),
        any_pid().prop_map(Forget::NeverServed),
        Just(Forget::AllNeverServed),
    ]
}

fn any_objection() -> impl Strategy<Value = Objection> {
    let numbers = (any::<u64>(), any::<u16>(), any::<u64>());
    (any_pid(), numbers, any_text(ERROR_TEXT_BYTES_MAX)).prop_map(|(pid, numbers, message)| {
        let (session, code, sequence) = numbers;
        Objection {
            pid,
            session,
            code,
            sequence,
            message,
        }
    })
}

fn any_overrule() -> impl Strategy<Value = Overrule> {
    (any_pid(), any::<u128>(), any::<[u64; 2]>()).prop_map(
        |(pid, incarnation, [session, above])| Overrule {
            pid,
            incarnation,
            session,
            above,
        },
    )
}

fn any_member() -> impl Strategy<Value = Member> {
    (
        any_sync(),
        any_text(261),
        option::of(any::<u64>()),
        any::<u16>(),
    )
        .prop_map(|(sync, address, last_heard_ms, objection)| Member {
            pid: sync.pid,
            incarnation: sync.incarnation,
            boot: sync.boot,
            session: sync.session,
            sequence: sync.sequence,
            address: address.into(),
            last_heard_ms,
            objection,
        })
}

fn any_peer() -> impl Strategy<Value = PeerStatus> {
    let state = prop::sample::select(&[
        PeerState::Down,
        PeerState::Connecting,
        PeerState::Connected,
        PeerState::Up,
        PeerState::Refused,
    ]);
    (
        any_text(100),
        option::of(any_pid()),
        (state, any::<bool>()),
        any::<u64>(),
        option::of(any::<u64>()),
    )
        .prop_map(
            |(address, pid, (state, tls), sequence, last_heard_ms)| PeerStatus {
                address: address.into(),
                pid,
                state,
                tls,
                sequence,
                last_heard_ms,
            },
        )
}
