//! The Rust client against servers that fail in every way: order across failover, retries, and replies
//! that break the protocol.

use std::{net::TcpListener, time::Duration};

use ipseity_client::{Client, ClientError, ClientOptions, FailureCause, Violation};
use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    words::{ErrorCode, ErrorReply, Members, Message},
};
use ipseity_frames::{Kind, WireError};
use ipseity_harness::{fake::Fake, fake::Step, nobody::Nobody};

/// Short enough that a test of a timeout is quick, long enough for a reply on a very busy machine. Only tests in which
/// a server stays silent use it.
const SOON: Duration = Duration::from_secs(2);

fn client_of(servers: &[&Fake]) -> Client {
    Client::with_options(
        servers.iter().map(|server| server.address()),
        ClientOptions::one_round(),
    )
    .unwrap()
}

fn impatient(servers: &[&Fake]) -> Client {
    let options = ClientOptions {
        reply_timeout: SOON,
        ..ClientOptions::one_round()
    };
    Client::with_options(servers.iter().map(|server| server.address()), options).unwrap()
}

fn identity(sequence: u64, pid: u16) -> Identity {
    Identity::new(Sequence::new(sequence).unwrap(), Pid::new(pid).unwrap())
}

fn reply(first: u64, count: u32) -> Step {
    Step::Reply(Message::IdentityReply { first, count })
}

fn violation(error: ClientError) -> Violation {
    match error {
        ClientError::Violation { violation, .. } => violation,
        other => panic!("expected a violation: {other}"),
    }
}

fn causes(error: ClientError) -> Vec<FailureCause> {
    match error {
        ClientError::Unavailable(failures) => failures.into_iter().map(|f| f.cause).collect(),
        other => panic!("expected that no server answered: {other}"),
    }
}

#[test]
fn nothing_is_connected_before_the_first_call_and_one_connection_serves_all() {
    let server = Fake::serving(1);
    let client = client_of(&[&server]);
    assert_eq!(server.accepted(), 0);
    assert_eq!(client.newest(), None);
    assert_eq!(client.next().unwrap(), identity(1, 1));
    assert_eq!(client.block(3).unwrap().last(), identity(4, 1));
    assert_eq!(client.status().unwrap().sequence, 4);
    client.ping().unwrap();
    assert_eq!(server.accepted(), 1);
    assert_eq!(client.newest(), Some(identity(4, 1)));
}

#[test]
fn every_request_carries_the_newest_identity_as_after() {
    let server = Fake::serving(1);
    let client = client_of(&[&server]);
    client.next().unwrap();
    client.observe(identity(100, 7));
    client.observe(identity(50, 7));
    assert_eq!(client.next().unwrap(), identity(101, 1));
    client.block(2).unwrap();
    let request = |count, after| Message::IdentityRequest { count, after };
    assert_eq!(
        server.requests(),
        [
            request(1, 0),
            request(1, identity(100, 7).get()),
            request(2, identity(101, 1).get())
        ]
    );
}

#[test]
fn identities_increase_across_failover_to_a_server_that_is_behind() {
    let (ahead, behind) = (Fake::serving(1), Fake::serving(2));
    ahead.set_sequence(1000);
    let client = client_of(&[&ahead, &behind]);
    assert_eq!(client.next().unwrap(), identity(1001, 1));
    assert_eq!(client.server().to_string(), ahead.address());
    drop(ahead);
    assert_eq!(client.next().unwrap(), identity(1002, 2));
    assert_eq!(client.server().to_string(), behind.address());
    // It stays with the one that answered.
    client.next().unwrap();
    assert_eq!(behind.accepted(), 1);
}

#[test]
fn an_address_where_nobody_listens_is_skipped() {
    let (nobody, server) = (Nobody::new(), Fake::serving(1));
    let client = Client::with_options(
        [nobody.address(), server.address()],
        ClientOptions::one_round(),
    )
    .unwrap();
    assert_eq!(client.next().unwrap(), identity(1, 1));
}

#[test]
fn a_server_that_does_not_reply_in_time_is_skipped() {
    let silent = Fake::scripted(1, [Step::Silence]);
    let server = Fake::serving(2);
    let client = impatient(&[&silent, &server]);
    assert_eq!(client.next().unwrap(), identity(1, 2));
    assert_eq!(silent.requests().len(), 1);
}

#[test]
fn a_late_reply_is_never_taken_for_the_reply_to_a_later_request() {
    let server = Fake::scripted(1, [Step::Silence]);
    let client = impatient(&[&server]);
    assert!(matches!(
        causes(client.next().unwrap_err())[..],
        [FailureCause::Timeout(SOON)]
    ));
    client.next().unwrap();
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_server_that_cannot_serve_now_is_skipped() {
    for code in [
        ErrorCode::TooManyConnections,
        ErrorCode::Storage,
        ErrorCode::Stopping,
        ErrorCode::PidConflict,
        ErrorCode::StaleState,
        ErrorCode::OverBudget,
        ErrorCode::Joining,
    ] {
        let poor = Fake::scripted(1, [Step::error(code, "not now")]);
        let server = Fake::serving(2);
        let client = client_of(&[&poor, &server]);
        assert_eq!(client.next().unwrap(), identity(1, 2), "{code}");
        assert_eq!(client.server().to_string(), server.address());
    }
}

#[test]
fn an_error_that_every_server_would_give_is_returned_at_once() {
    for code in [ErrorCode::BadCount, ErrorCode::AdvanceTooLarge] {
        let server = Fake::scripted(1, [Step::error(code, "no")]);
        let other = Fake::serving(2);
        let client = client_of(&[&server, &other]);
        let error = client.next().unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_eq!(
            error.without_advice().to_string(),
            format!("{} refused the request with {code}: no", server.address())
        );
        // The connection stays open.
        client.next().unwrap();
        assert_eq!((server.accepted(), other.accepted()), (1, 0));
    }
}

#[test]
fn an_error_of_an_unknown_code_is_returned_at_once() {
    let reply = ErrorReply {
        code: 63,
        message: "later\r\n\u{1b}[2Jforged".to_owned(),
    };
    let server = Fake::scripted(1, [Step::Reply(Message::ErrorReply(Box::new(reply)))]);
    let client = client_of(&[&server]);
    let error = client.next().unwrap_err();
    assert_eq!(error.code(), None);
    // Text from the network must not control a terminal or forge a line.
    assert!(!error.to_string().contains(char::is_control), "{error}");
    assert!(
        error.to_string().contains(" with code 63: later"),
        "{error}"
    );
    client.next().unwrap();
}

#[test]
fn when_no_server_answers_the_error_names_each_with_its_cause() {
    let full = Fake::scripted(1, [Step::error(ErrorCode::TooManyConnections, "full")]);
    let closing = Fake::scripted(2, [Step::Last(vec![0])]);
    let nobody = Nobody::new();
    let address = nobody.address();
    let client = Client::with_options(
        [full.address(), closing.address(), address.clone()],
        ClientOptions::one_round(),
    )
    .unwrap();
    let error = client.next().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("none of 3 servers answered: "), "{text}");
    for part in [
        format!("{}: refused with tooManyConnections: full", full.address()),
        format!("{}: the server closed", closing.address()),
        format!("{address}: cannot connect: "),
    ] {
        assert!(text.contains(&part), "{text}: {part}");
    }
    assert!(matches!(
        causes(error)[..],
        [
            FailureCause::Refused(_),
            FailureCause::Closed { bytes: 1 },
            FailureCause::Connect(_)
        ]
    ));
    // All are tried again by the next call.
    client.next().unwrap();
}

#[test]
fn each_server_is_tried_once_per_call() {
    let server = Fake::scripted(1, vec![Step::Last(vec![]); 5]);
    let client = client_of(&[&server]);
    assert_eq!(causes(client.next().unwrap_err()).len(), 1);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_idle_connection_that_was_closed_is_opened_again() {
    let server = Fake::scripted(1, [Step::ServeAndClose]);
    let client = client_of(&[&server]);
    let first = client.next().unwrap();
    assert!(client.next().unwrap() > first);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_server_whose_name_does_not_exist_is_skipped() {
    // Too long for a label, so that no name server is asked.
    let name = format!("{}.invalid:1", "x".repeat(64));
    let server = Fake::serving(1);
    let client =
        Client::with_options([name, server.address()], ClientOptions::one_round()).unwrap();
    assert_eq!(client.next().unwrap(), identity(1, 1));
}

#[test]
fn a_bad_list_of_servers_is_refused_when_the_client_is_made() {
    assert!(matches!(
        Client::new([] as [&str; 0]),
        Err(ClientError::NoServers)
    ));
    assert!(matches!(
        Client::new(["ids:0"]),
        Err(ClientError::Address(_))
    ));
}

#[test]
fn identities_that_are_not_greater_than_the_newest_are_refused() {
    for first in [identity(9, 1), identity(10, 1), identity(1, 1)] {
        let server = Fake::scripted(1, [reply(first.get(), 1)]);
        let other = Fake::serving(2);
        let client = client_of(&[&server, &other]);
        let after = identity(10, 1);
        client.observe(after);
        assert_eq!(
            violation(client.next().unwrap_err()),
            Violation::NotGreater { first, after }
        );
        // The error is not hidden by asking another server, and the connection is not used again.
        assert_eq!(other.accepted(), 0);
        client.next().unwrap();
        assert_eq!(server.accepted(), 2);
    }
}

#[test]
fn replies_that_break_the_protocol_are_typed_errors() {
    let last = identity(Sequence::MAX.get(), 1).get();
    let cases = [
        (
            reply(1025, 2),
            Violation::WrongCount {
                asked: 3,
                received: 2,
            },
        ),
        (
            reply(1 << 63, 3),
            Violation::NoIdentities {
                first: 1 << 63,
                count: 3,
            },
        ),
        (reply(1, 3), Violation::NoIdentities { first: 1, count: 3 }),
        (
            reply(last, 3),
            Violation::NoIdentities {
                first: last,
                count: 3,
            },
        ),
        (
            Step::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            Violation::Http,
        ),
        (
            Step::Bytes(vec![0, 1, 1]),
            Violation::Undecodable(WireError::UnexpectedKind(Kind::IdentityRequest)),
        ),
        (
            Step::Bytes(vec![0, 0]),
            Violation::Undecodable(WireError::EmptyFrame),
        ),
    ];
    for (step, expected) in cases {
        let server = Fake::scripted(1, [step]);
        let client = client_of(&[&server]);
        let error = client.block(3).unwrap_err();
        assert!(error.to_string().contains(&server.address()), "{error}");
        assert_eq!(violation(error), expected);
        client.block(3).unwrap();
    }
}

#[test]
fn a_reply_of_another_kind_breaks_the_protocol() {
    let server = Fake::scripted(1, [reply(1025, 1)]);
    let client = client_of(&[&server]);
    assert_eq!(
        violation(client.status().unwrap_err()),
        Violation::WrongKind {
            expected: Kind::StatusReply,
            received: Kind::IdentityReply
        }
    );
}

#[test]
fn a_connection_whose_pid_changes_breaks_the_protocol() {
    let server = Fake::scripted(1, [Step::Serve, reply(identity(5, 2).get(), 1)]);
    let client = client_of(&[&server]);
    client.next().unwrap();
    assert_eq!(
        violation(client.next().unwrap_err()),
        Violation::PidChanged {
            before: Pid::new(1).unwrap(),
            now: Pid::new(2).unwrap()
        }
    );
}

#[test]
fn bytes_that_were_not_asked_for_break_the_protocol() {
    // The reply and one byte more, in one write.
    let server = Fake::scripted(
        1,
        [Step::Bytes(vec![
            0, 13, 2, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 1, 9,
        ])],
    );
    let client = client_of(&[&server]);
    assert_eq!(client.next().unwrap(), identity(1, 1));
    assert_eq!(
        violation(client.next().unwrap_err()),
        Violation::Unasked { bytes: 1 }
    );
}

#[test]
fn members_are_read_to_the_last_page_on_one_connection() {
    let server = Fake::serving(1);
    let client = client_of(&[&server]);
    assert_eq!(client.members().unwrap(), []);
    server.set_members([0, 2, 3, 700, 1023]);
    let pids: Vec<u16> = client
        .members()
        .unwrap()
        .iter()
        .map(|member| member.pid.get())
        .collect();
    assert_eq!(pids, [0, 2, 3, 700, 1023]);
    let from = |from| Message::MembersRequest {
        from: Pid::new(from).unwrap(),
    };
    assert_eq!(server.requests()[1..], [from(0), from(3), from(701)]);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn members_come_from_one_server_even_if_another_fails_in_the_middle() {
    let failing = Fake::scripted(1, [Step::Serve, Step::Last(vec![0])]);
    let server = Fake::serving(2);
    failing.set_members([5, 6, 7]);
    server.set_members([1, 2, 3]);
    let client = client_of(&[&failing, &server]);
    // Only a connection that was in use before is opened again. This one failed in its first call.
    let pids = client.members().unwrap();
    assert!(pids.iter().all(|member| member.pid.get() < 5), "{pids:?}");
    assert_eq!((pids.len(), failing.requests().len()), (3, 2));
}

#[test]
fn a_client_that_names_its_cluster_sends_that_once_with_its_first_request() {
    let server = Fake::serving(1);
    let client = Client::with_options([server.address()], ClientOptions::one_round()).unwrap();
    let client = client.cluster("ipseity".parse().unwrap());
    client.next().unwrap();
    client.next().unwrap();
    let kinds: Vec<&str> = server.requests().iter().map(Message::name).collect();
    assert_eq!(
        kinds,
        ["helloRequest", "identityRequest", "identityRequest"]
    );
    // A new connection says it again.
    server.hang_up();
    client.next().unwrap();
    let said = server
        .requests()
        .into_iter()
        .filter(|request| request.name() == "helloRequest");
    assert_eq!(said.count(), 2);
}

#[test]
fn a_server_of_another_cluster_is_refused() {
    let server = Fake::serving(1);
    let other = Fake::serving(2);
    let client = Client::with_options(
        [server.address(), other.address()],
        ClientOptions::one_round(),
    )
    .unwrap();
    let client = client.cluster("blue".parse().unwrap());
    let error = client.next().unwrap_err();
    let ClientError::WrongCluster { reply, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(reply.code, ErrorCode::ForeignCluster.get());
    assert_eq!(client.newest(), None);
    assert_eq!(other.accepted(), 0);
}

#[test]
fn a_server_forgets_and_says_how_far_the_pid_had_come() {
    let server = Fake::serving(1);
    server.set_members([2, 3]);
    let client = client_of(&[&server]);
    let pid = Pid::new(3).unwrap();
    assert_eq!(client.forget(pid).unwrap().get(), 1003);
    assert_eq!(client.members().unwrap().len(), 1);
    let error = client.forget(pid).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownPid));
}

#[test]
fn a_server_is_advanced_and_says_where_it_goes_on() {
    let server = Fake::serving(1);
    let client = client_of(&[&server]);
    for (above, goes_on) in [(5000, 5000), (10, 5000)] {
        let above = Sequence::new(above).unwrap();
        assert_eq!(client.advance(above).unwrap().get(), goes_on);
    }
    assert_eq!(client.next().unwrap(), identity(5001, 1));
}

#[test]
fn a_refused_operator_request_is_not_sent_to_another_server() {
    let refusing = || Step::error(ErrorCode::NotTrusted, "not from here");
    let server = Fake::scripted(1, [refusing(), refusing()]);
    let other = Fake::serving(2);
    let client = client_of(&[&server, &other]);
    let pid = Pid::new(3).unwrap();
    let error = client.forget(pid).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotTrusted));
    let error = client.advance(Sequence::MAX).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotTrusted));
    // The connection stays open.
    client.next().unwrap();
    assert_eq!((server.accepted(), other.accepted()), (1, 0));
}

#[test]
fn replies_to_an_operator_are_checked() {
    let done = |sequence| Step::Reply(Message::DoneReply { sequence });
    let above = Sequence::new(100).unwrap();
    for received in [99, 0, 1 << 53] {
        let server = Fake::scripted(1, [done(received)]);
        let error = client_of(&[&server]).advance(above).unwrap_err();
        let least = above;
        let expected = Violation::WrongSequence { received, least };
        assert_eq!(violation(error), expected);
    }
    let server = Fake::scripted(1, [done(u64::MAX), done(1)]);
    let client = client_of(&[&server]);
    assert_eq!(
        violation(client.forget(Pid::MIN).unwrap_err()),
        Violation::WrongSequence {
            received: u64::MAX,
            least: Sequence::ZERO
        }
    );
    assert_eq!(
        violation(client.members().unwrap_err()),
        Violation::WrongKind {
            expected: Kind::MembersReply,
            received: Kind::DoneReply
        }
    );
    // If the total is always higher than the members that come, the client must not ask for ever.
    let endless = Members {
        total: 1,
        members: Vec::new(),
    };
    let server = Fake::scripted(1, [Step::Reply(Message::MembersReply(Box::new(endless)))]);
    assert_eq!(
        violation(client_of(&[&server]).members().unwrap_err()),
        Violation::MembersMiscounted {
            total: 1,
            received: 0
        }
    );
}

#[test]
fn a_pipeline_replies_in_order_and_keeps_to_its_depth() {
    let server = Fake::scripted(1, vec![Step::Silence; 3]);
    let mut client = impatient(&[&server]);
    assert!(matches!(
        causes(client.pipeline(3, 1..100).next().unwrap().unwrap_err())[..],
        [FailureCause::Timeout(SOON)]
    ));
    assert_eq!(server.requests().len(), 3);

    let server = Fake::serving(1);
    let mut client = client_of(&[&server]);
    let counts: Vec<u32> = client
        .pipeline(8, 1..=100)
        .map(|block| block.unwrap().count())
        .collect();
    assert_eq!(counts, (1..=100).collect::<Vec<u32>>());
    assert_eq!(client.newest(), Some(identity(5050, 1)));
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_pipeline_goes_on_with_the_next_server_and_repeats_nothing() {
    let script = vec![Step::Serve, Step::Serve, Step::Last(vec![0, 13, 2, 0])];
    let failing = Fake::scripted(1, script);
    failing.set_sequence(500);
    let server = Fake::serving(2);
    let mut client = client_of(&[&failing, &server]);
    let mut identities = Vec::new();
    for (index, block) in client.pipeline(4, [10; 20]).enumerate() {
        if index == 1 {
            // Requests in flight are lost. The failing server would accept again, so it is shut for good.
            failing.script(vec![Step::Last(vec![]); 20]);
        }
        identities.extend(block.unwrap());
    }
    assert_eq!(identities.len(), 200);
    assert!(identities.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(identities.last().unwrap().pid().get(), 2);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_request_that_is_refused_in_a_pipeline_yields_its_error_in_its_place() {
    let server = Fake::serving(1);
    let mut client = client_of(&[&server]);
    let replies: Vec<Option<u32>> = client
        .pipeline(2, [1, 0, 2, 70_000, 3])
        .map(|reply| match reply {
            Ok(block) => Some(block.count()),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::BadCount));
                None
            }
        })
        .collect();
    assert_eq!(replies, [Some(1), None, Some(2), None, Some(3)]);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_pipeline_ends_with_the_error_when_no_server_answers() {
    let server = Fake::scripted(1, vec![Step::Last(vec![]); 10]);
    let mut client = client_of(&[&server]);
    let mut pipeline = client.pipeline(4, [1; 10]);
    assert!(matches!(
        pipeline.next(),
        Some(Err(ClientError::Unavailable(_)))
    ));
    assert!(pipeline.next().is_none());
    assert!(pipeline.next().is_none());
}

#[test]
fn replies_to_a_dropped_pipeline_are_not_taken_for_others() {
    let server = Fake::serving(1);
    let mut client = client_of(&[&server]);
    let first = client.pipeline(8, [1; 8]).next().unwrap().unwrap();
    let block = client.block(2).unwrap();
    assert_eq!(block.count(), 2);
    assert!(block.first() > first.last());
    assert_eq!(server.accepted(), 2);
    // The same is true for a pipeline that is forgotten, which runs no destructor.
    let mut pipeline = client.pipeline(8, [1; 8]);
    pipeline.next().unwrap().unwrap();
    std::mem::forget(pipeline);
    assert_eq!(client.block(5).unwrap().count(), 5);
    assert_eq!(server.accepted(), 3);
}

#[test]
fn an_error_sent_before_the_server_closed_is_reported() {
    // A server that is full answers and closes at once, without reading the request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let full = ErrorReply::new(ErrorCode::TooManyConnections, "full");
        ipseity_frames::encode(&Message::ErrorReply(Box::new(full)), &mut bytes);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut bytes);
    });
    let client = Client::with_options([address], ClientOptions::one_round()).unwrap();
    assert!(matches!(
        causes(client.next().unwrap_err())[..],
        [FailureCause::Refused(_)]
    ));
    drop(client);
    server.join().unwrap();
}
