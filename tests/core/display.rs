//! Every event, effect, message and report as a trace shows it, and every reason for closing a connection: the words
//! that docs/architecture.md and the logs use, in full.

use std::{io, time::Duration};

use ipseity::{
    connection::CloseReason,
    mailbox::{Entry, Readiness},
};
use ipseity_core::{
    actor::{Charge, Effect, Event, HangUp, Objected, Outcome, Report, Rival, Write, Written},
    identity::{Identity, Pid, Sequence},
    ids::{ConnectionId, Count, Link, ListenerId, NameId, PeerId},
    time::Instant,
    timer::Timer,
    words::{
        ErrorCode, ErrorReply, Forget, Goodbye, Hello, KnownLife, Members, Message, Objection,
        Overrule, Probe, Stage, Standing, SyncMessage, Told, Vote,
    },
};
use ipseity_frames::WireError;
use ipseity_sim::config::peer_says;

const ALICE: ConnectionId = ConnectionId::new(3, 1);
const PEER: PeerId = PeerId(2);
const LINK: Link = Link::Dialed(PEER);

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn pid(value: u16) -> Pid {
    Pid::new(value).unwrap()
}

fn sync() -> Box<SyncMessage> {
    Box::new(SyncMessage {
        told: Told {
            stage: Stage::Claims,
            ceiling: 1033,
            votes: Vote::Counts,
            known: Some(KnownLife {
                boot: 1,
                session: 0x50,
                ceiling: 5,
                sequence: 4,
            }),
            claimed: Some(KnownLife {
                boot: 2,
                session: 0x49,
                ceiling: 0,
                sequence: 4,
            }),
            nonce: 0x52,
            heard: 0x61,
            refused: 39,
        },
        cluster: "blue".parse().unwrap(),
        incarnation: 0xabc,
        boot: 2,
        session: 0x51,
        sequence: 9,
        advertise: "ids:1".to_owned(),
        ..peer_says(pid(7))
    })
}

const SYNC: &str = "version=2 cluster=\"blue\" pid=7 incarnation=00000000000000000000000000000abc boot=2 \
    session=0000000000000051 sequence=9 stage=claims ceiling=1033 votes=true nonce=0000000000000052 \
    heard=0000000000000061 refused=39 known=1/0000000000000050/5/4 claimed=2/0000000000000049/0/4 advertise=\"ids:1\"";

fn probe() -> Probe {
    Probe {
        pid: pid(7),
        session: 0x51,
        nonce: 0x62,
    }
}

const PROBE: &str = "pid=7 session=0000000000000051 nonce=0000000000000062";

fn goodbye() -> Goodbye {
    Goodbye {
        pid: pid(7),
        session: 0x51,
        served: true,
    }
}

const GOODBYE: &str = "pid=7 session=0000000000000051 served=true";

fn error() -> Box<ErrorReply> {
    Box::new(ErrorReply::new(ErrorCode::Storage, "no \"disk\""))
}

const ERROR: &str = r#"code=35 message="no \"disk\"""#;

fn objection() -> Objection {
    Objection::new(pid(7), 0x51, ErrorCode::StaleState, 9, "older")
}

const OBJECTION: &str = "pid=7 session=0000000000000051 code=38 sequence=9 message=\"older\"";

fn overrule() -> Overrule {
    Overrule {
        pid: pid(7),
        incarnation: 0xabc,
        session: 0x51,
        above: 9,
    }
}

const OVERRULE: &str =
    "pid=7 incarnation=00000000000000000000000000000abc session=0000000000000051 above=9";

#[test]
fn every_event_has_its_line() {
    let from = ALICE;
    for (event, line) in [
        (
            Event::Unknown {
                from,
                error: Box::new(WireError::EmptyFrame.reply()),
            },
            format!(
                "unknown connection=3.1 error={:?}",
                WireError::EmptyFrame.to_string()
            ),
        ),
        (
            Event::IdentityRequest {
                from,
                count: Count::saturating(5),
                after: 1025,
            },
            "identityRequest connection=3.1 count=5 after=1025".to_owned(),
        ),
        (Event::SyncTimeout, "syncTimeout".to_owned()),
        (
            Event::SyncRequest { from, sync: sync() },
            format!("syncRequest connection=3.1 {SYNC}"),
        ),
        (
            Event::SyncReply {
                from: PEER,
                sync: sync(),
            },
            format!("syncReply peer=2 {SYNC}"),
        ),
        (
            Event::ErrorReply {
                from: PEER,
                error: error(),
            },
            format!("errorReply peer=2 {ERROR}"),
        ),
        (
            Event::HelloRequest {
                from,
                hello: Box::new(Hello {
                    cluster: Some("blue".parse().unwrap()),
                }),
            },
            "helloRequest connection=3.1 cluster=\"blue\"".to_owned(),
        ),
        (
            Event::StatusRequest { from },
            "statusRequest connection=3.1".to_owned(),
        ),
        (
            Event::PeerConnected(PEER),
            "peerConnected peer=2".to_owned(),
        ),
        (
            Event::PeerDisconnected(LINK),
            "peerDisconnected peer=2".to_owned(),
        ),
        (
            Event::Disconnected(from),
            "disconnected connection=3.1".to_owned(),
        ),
        (
            Event::Objection(Box::new((Link::Accepted(from), objection()))),
            format!("objection connection=3.1 {OBJECTION}"),
        ),
        (
            Event::Overrule(Box::new((LINK, overrule()))),
            format!("overrule peer=2 {OVERRULE}"),
        ),
        (Event::AllAsked, "allAsked".to_owned()),
        (Event::JoinTimeout, "joinTimeout".to_owned()),
        (Event::SaveTimeout, "saveTimeout".to_owned()),
        (Event::WriteTimeout, "writeTimeout".to_owned()),
        (Event::StoreTimeout, "storeTimeout".to_owned()),
        (Event::Fenced, "fenced lease".to_owned()),
        (
            Event::Leased {
                until: Instant::START.after(Duration::from_secs(60)),
            },
            "leased untilMs=60000".to_owned(),
        ),
        (
            Event::Written(Written::Ceiling(Outcome::Fenced)),
            "fenced ceiling".to_owned(),
        ),
        (
            Event::MembersRequest {
                from,
                first: pid(4),
            },
            "membersRequest connection=3.1 first=4".to_owned(),
        ),
        (
            Event::ForgetRequest {
                from,
                what: Forget::All(pid(4)),
            },
            "forgetRequest connection=3.1 pid=4".to_owned(),
        ),
        (
            Event::AdvanceRequest { from, above: 9 },
            "advanceRequest connection=3.1 above=9".to_owned(),
        ),
        (
            Event::Denied {
                from,
                error: Box::new(ErrorReply::new(ErrorCode::NotTrusted, "no")),
            },
            "denied connection=3.1 error=\"no\"".to_owned(),
        ),
        (
            Event::Written(Written::Ceiling(Outcome::Durable)),
            "written ceiling".to_owned(),
        ),
        (
            Event::Written(Written::Objection(Outcome::Durable)),
            "written objection".to_owned(),
        ),
        (
            Event::Written(Written::Members(Outcome::Failed)),
            "writeFailed members".to_owned(),
        ),
        (
            Event::Written(Written::Stop(Outcome::Failed)),
            "writeFailed stop".to_owned(),
        ),
        (
            Event::Probe(Box::new((Link::Dialed(PEER), probe()))),
            format!("probe peer=2 {PROBE}"),
        ),
        (
            Event::Alive(Box::new((Link::Dialed(PEER), probe()))),
            format!("alive peer=2 {PROBE}"),
        ),
        (
            Event::Goodbye(Box::new((Link::Dialed(PEER), goodbye()))),
            format!("goodbye peer=2 {GOODBYE}"),
        ),
        (
            Event::PeerUnreachable(PEER),
            "peerUnreachable peer=2".to_owned(),
        ),
        (
            Event::PeerForgotten(PEER),
            "peerForgotten peer=2".to_owned(),
        ),
        (Event::ProbeTimeout, "probeTimeout".to_owned()),
        (Event::Stop, "stop".to_owned()),
    ] {
        assert_eq!(event.to_string(), line);
        assert!(line.starts_with(event.name()));
    }
}

#[test]
fn every_entry_of_the_mailbox_has_its_line() {
    let ready = |readable, writable, closed| Entry::Ready {
        connection: ALICE,
        readiness: Readiness::new(readable, writable, closed),
    };
    for (entry, name, fields) in [
        (Entry::Acceptable(ListenerId(0)), "acceptable", ""),
        (ready(true, false, false), "readable", " connection=3.1"),
        (ready(false, true, false), "writable", " connection=3.1"),
        (
            ready(true, false, true),
            "readable",
            " connection=3.1 readClosed",
        ),
        (Entry::Expired(Timer::Dial), "dialTimeout", ""),
        (Entry::Resolved(NameId(2)), "resolved", " name=2"),
        (Entry::Signal, "signal", ""),
        (Entry::Hangup, "hangup", ""),
        (
            Entry::Event(Event::Written(Written::Stop(Outcome::Failed))),
            "writeFailed",
            " stop",
        ),
        (
            Entry::Event(Event::StatusRequest { from: ALICE }),
            "statusRequest",
            " connection=3.1",
        ),
    ] {
        assert_eq!(entry.name(), name);
        assert_eq!(entry.to_string(), format!("{name}{fields}"));
    }
}

#[test]
fn every_effect_has_its_line() {
    let to = ALICE;
    let charge = |rival| Charge {
        pid: pid(7),
        session: 0x51,
        link: Link::Accepted(ALICE),
        code: ErrorCode::PidConflict,
        sequence: sequence(9),
        rival,
        is_new: true,
        may_be_over: false,
    };
    for (effect, line) in [
        (
            Effect::ReplyIdentities {
                to,
                first: Identity::new(sequence(1), pid(1)),
                count: 2,
            },
            "reply connection=3.1 identityReply first=1025 count=2".to_owned(),
        ),
        (
            Effect::ReplyStatus { to },
            "reply connection=3.1 statusReply".to_owned(),
        ),
        (
            Effect::ReplyMembers { to, first: pid(4) },
            "reply connection=3.1 membersReply first=4".to_owned(),
        ),
        (
            Effect::Object {
                charge: charge(None),
                answers: true,
            },
            "reply connection=3.1 objection pid=7 session=0000000000000051 code=37 sequence=9".to_owned(),
        ),
        (
            Effect::Object {
                charge: charge(Some(Rival {
                    session: 0x52,
                    link: Some(LINK),
                })),
                answers: false,
            },
            "tell connection=3.1 objection pid=7 session=0000000000000051 code=37 sequence=9 rival peer=2"
                .to_owned(),
        ),
        (
            Effect::Tell {
                to: LINK,
                message: Message::Overrule(Box::new(overrule())),
            },
            format!("tell peer=2 overrule {OVERRULE}"),
        ),
        (Effect::Close(to), "close connection=3.1".to_owned()),
        (
            Effect::HangUp {
                peer: PEER,
                cause: HangUp::Silent(Duration::from_millis(1500)),
            },
            "hangUp peer=2 cause=\"no answer for 1500 ms\"".to_owned(),
        ),
        (
            Effect::HangUp {
                peer: PEER,
                cause: HangUp::Refused(error()),
            },
            r#"hangUp peer=2 cause="refused: no \"disk\"""#.to_owned(),
        ),
        (
            Effect::HangUp {
                peer: PEER,
                cause: HangUp::RefusedBy(error()),
            },
            r#"hangUp peer=2 cause="it refuses this server and says: no \"disk\"""#.to_owned(),
        ),
        (Effect::StartTicker, "startTicker".to_owned()),
        (Effect::StopTicker, "stopTicker".to_owned()),
        (
            Effect::DialOnce("ids:1".into()),
            "dialOnce address=\"ids:1\"".to_owned(),
        ),
        (Effect::GiveUp, "giveUp".to_owned()),
        (
            Effect::JoinWithin(Duration::from_millis(500)),
            "joinWithin ms=500".to_owned(),
        ),
        (
            Effect::ClaimWithin(Duration::from_millis(500)),
            "claimWithin ms=500".to_owned(),
        ),
        (
            Effect::SaveLater(Duration::from_millis(250)),
            "saveLater ms=250".to_owned(),
        ),
        (
            Effect::Write(Write::Ceiling {
                sequence: sequence(1),
                ceiling: sequence(2),
            }),
            "write ceiling sequence=1 ceiling=2".to_owned(),
        ),
        (
            Effect::Write(Write::Members(Vec::new())),
            "write members count=0".to_owned(),
        ),
        (
            Effect::Write(Write::Objection(Objected::conflict(sequence(3)))),
            "write objection sequence=3 conflict=true".to_owned(),
        ),
        (
            Effect::Write(Write::Stop {
                sequence: sequence(4),
            }),
            "write stop sequence=4".to_owned(),
        ),
        (Effect::Stopped(Outcome::Durable), "stopped".to_owned()),
        (Effect::Stopped(Outcome::Failed), "stopFailed".to_owned()),
        (Effect::Stopped(Outcome::Fenced), "stopFenced".to_owned()),
        (Effect::Report(Report::StorageFailed), "report storageFailed".to_owned()),
    ] {
        assert_eq!(effect.to_string(), line);
    }
}

#[test]
fn every_message_has_its_line() {
    for (message, line) in [
        (
            Message::IdentityRequest { count: 2, after: 3 },
            "identityRequest count=2 after=3".to_owned(),
        ),
        (
            Message::IdentityReply {
                first: 1025,
                count: 2,
            },
            "identityReply first=1025 count=2".to_owned(),
        ),
        (Message::SyncRequest(sync()), format!("syncRequest {SYNC}")),
        (Message::SyncReply(sync()), format!("syncReply {SYNC}")),
        (Message::StatusRequest, "statusRequest".to_owned()),
        (
            Message::HelloRequest(Box::new(Hello { cluster: None })),
            "helloRequest cluster=\"\"".to_owned(),
        ),
        (
            Message::Objection(Box::new(objection())),
            format!("objection {OBJECTION}"),
        ),
        (
            Message::MembersRequest { from: pid(4) },
            "membersRequest pid=4".to_owned(),
        ),
        (
            Message::MembersReply(Box::new(Members {
                total: 0,
                members: Vec::new(),
            })),
            "membersReply".to_owned(),
        ),
        (
            Message::ForgetRequest {
                what: Forget::All(pid(4)),
            },
            "forgetRequest pid=4".to_owned(),
        ),
        (
            Message::AdvanceRequest { above: 9 },
            "advanceRequest sequence=9".to_owned(),
        ),
        (
            Message::DoneReply { sequence: 9 },
            "doneReply sequence=9".to_owned(),
        ),
        (Message::Probe(probe()), format!("probe {PROBE}")),
        (Message::Alive(probe()), format!("alive {PROBE}")),
        (Message::Goodbye(goodbye()), format!("goodbye {GOODBYE}")),
        (Message::ErrorReply(error()), format!("errorReply {ERROR}")),
    ] {
        let reply = Effect::Reply {
            to: ALICE,
            message: message.clone(),
        };
        assert_eq!(reply.to_string(), format!("reply connection=3.1 {line}"));
        let send = Effect::Send { to: PEER, message };
        assert_eq!(send.to_string(), format!("send peer=2 {line}"));
    }
}

#[test]
fn every_report_has_its_line() {
    for (report, line) in [
        (
            Report::PeerUp {
                link: LINK,
                pid: pid(7),
                sequence: 9,
            },
            "peerUp peer=2 pid=7 sequence=9".to_owned(),
        ),
        (
            Report::PeerDown {
                link: LINK,
                pid: pid(7),
            },
            "peerDown peer=2 pid=7".to_owned(),
        ),
        (
            Report::Refused {
                from: ALICE,
                error: error(),
            },
            format!("refused connection=3.1 {ERROR}"),
        ),
        (
            Report::RoundRefused {
                link: LINK,
                error: error(),
            },
            format!("roundRefused peer=2 {ERROR}"),
        ),
        (
            Report::AdvanceRefused {
                from: ALICE,
                error: error(),
            },
            format!("advanceRefused connection=3.1 {ERROR}"),
        ),
        (
            Report::Raised {
                link: LINK,
                by: 7,
                to: sequence(9),
                untold: 2,
            },
            "raised peer=2 by=7 to=9 untold=2".to_owned(),
        ),
        (
            Report::Advanced {
                from: ALICE,
                above: sequence(9),
                sequence: sequence(3),
            },
            "advanced connection=3.1 above=9 sequence=3".to_owned(),
        ),
        (
            Report::ForgotClaims {
                from: ALICE,
                pid: Some(pid(7)),
                claims: 2,
            },
            "forgotClaims connection=3.1 pid=7 claims=2".to_owned(),
        ),
        (
            Report::ForgotClaims {
                from: ALICE,
                pid: None,
                claims: 1,
            },
            "forgotClaims connection=3.1 claims=1".to_owned(),
        ),
        (
            Report::Forgot {
                from: ALICE,
                pid: pid(7),
                sequence: sequence(3),
            },
            "forgot connection=3.1 pid=7 sequence=3".to_owned(),
        ),
        (
            Report::Objected {
                standing: Standing::Stale,
                above: sequence(9),
                by: LINK,
                why: "older".to_owned(),
            },
            "objected peer=2 standing=Stale above=9 why=\"older\"".to_owned(),
        ),
        (
            Report::ObjectedHigher {
                above: sequence(9),
                by: LINK,
                why: "older".to_owned(),
            },
            "objectedHigher peer=2 above=9 why=\"older\"".to_owned(),
        ),
        (
            Report::ObjectedStill {
                by: LINK,
                why: "older".to_owned(),
            },
            "objectedStill peer=2 why=\"older\"".to_owned(),
        ),
        (
            Report::Overruled {
                link: LINK,
                pid: pid(7),
                above: 9,
            },
            "overruled peer=2 pid=7 above=9".to_owned(),
        ),
        (
            Report::Joined { answered: 1 },
            "joined answered=1".to_owned(),
        ),
        (Report::JoinWaits, "joinWaits".to_owned()),
        (
            Report::GaveUp {
                why: "held".to_owned(),
            },
            "gaveUp why=\"held\"".to_owned(),
        ),
        (
            Report::Exhaustion {
                percent: 90,
                remaining: 5,
            },
            "exhaustion percent=90 remaining=5".to_owned(),
        ),
        (Report::Exhausted, "exhausted".to_owned()),
        (
            Report::WriteLate {
                took: Duration::from_millis(1001),
                waiting: 3,
            },
            "writeLate ms=1001 waiting=3".to_owned(),
        ),
        (
            Report::WriteOver {
                took: Duration::from_millis(9000),
                waited: 4,
            },
            "writeOver ms=9000 waited=4".to_owned(),
        ),
        (Report::StorageFailed, "storageFailed".to_owned()),
        (Report::Fenced, "fenced".to_owned()),
        (Report::InDoubt, "inDoubt".to_owned()),
        (
            Report::Confirmed {
                took: Duration::from_millis(7),
            },
            "confirmed ms=7".to_owned(),
        ),
        (
            Report::StoreAway { waiting: 3 },
            "storeAway waiting=3".to_owned(),
        ),
        (
            Report::StoreBack {
                took: Duration::from_millis(8),
            },
            "storeBack ms=8".to_owned(),
        ),
    ] {
        assert_eq!(report.to_string(), line);
    }
}

#[test]
fn timers_connections_and_peers_have_their_names() {
    assert_eq!(
        Timer::ALL.map(Timer::name),
        [
            "syncTimeout",
            "dialTimeout",
            "sweepTimeout",
            "acceptTimeout",
            "stopTimeout",
            "joinTimeout",
            "probeTimeout",
            "saveTimeout",
            "tellTimeout",
            "writeTimeout",
            "storeTimeout",
            "certificatesTimeout",
            "notifyTimeout",
        ]
    );
    assert_eq!(format!("{ALICE} {ALICE:?}"), "3.1 3.1");
    assert_eq!(format!("{PEER} {LINK}"), "2 peer=2");
    assert_eq!(format!("{:?}", Count::saturating(7)), "7");
}

#[test]
fn every_reason_to_close_a_connection_has_its_words() {
    let silence = Duration::from_millis(1500);
    for (reason, words) in [
        (CloseReason::Ended, "the other side closed the connection"),
        (CloseReason::Told, "closed after an error reply"),
        (
            CloseReason::Io(io::Error::other("no cable")),
            "connection lost: no cable",
        ),
        (
            CloseReason::Dial(io::Error::other("no route")),
            "cannot connect: no route",
        ),
        (
            CloseReason::Wire(WireError::UnknownKind(99)),
            "it sent something that is not an answer: unknown kind 99",
        ),
        (
            CloseReason::HungUp(HangUp::Silent(silence)),
            &HangUp::Silent(silence).to_string(),
        ),
        (
            CloseReason::Unread(silence),
            "it left its replies unread for 1500 ms",
        ),
        (CloseReason::Idle(silence), "idle for 1500 ms"),
    ] {
        assert_eq!(reason.to_string(), words);
    }
}
