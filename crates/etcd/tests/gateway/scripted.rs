use std::{fs, time::Duration};

use ipseity_etcd::{Answered, Call, CallError, Gateway, Header, Secrets};
use ipseity_harness::{nobody::Nobody, server::eventually, silent::Silent};

use crate::{
    gateway, grant, has_revision, has_value, outcome, patient, patient_with, put, put_under, read,
    read_all, refused,
    script::{Play, Script, answer, chunked, error},
    unanswered, values, write,
};

const EMPTY: &str =
    r#"{"header":{"cluster_id":"18446744073709551615","revision":"9","raft_term":"3"}}"#;

/// The body of an answer that says this.
fn body(rest: &str) -> String {
    let header = r#"{"cluster_id":"7","revision":"9","raft_term":"3"}"#;
    format!("{{\"header\":{header},{rest}}}")
}

fn a_write() -> Call {
    write(vec![put("a", "1")])
}

fn to(script: &Script) -> String {
    format!("etcd://{}", script.address())
}

fn to_both(first: &str, second: &str) -> String {
    format!("etcd://{first},{second}")
}

/// What waits for an answer no longer than a server does only where none comes: a busy machine may be late.
fn waiting_for(play: &Play) -> fn(&str) -> Gateway {
    match play {
        Play::Hang => gateway,
        Play::Send(_) | Play::SendAndEnd(_) => patient,
    }
}

#[test]
fn requests_are_what_etcd_understands() {
    let script = Script::new([
        answer(200, EMPTY),
        answer(200, EMPTY),
        answer(
            200,
            &body(
                r#""succeeded":true,"responses":[{"response_put":{}},{"response_delete_range":{}},{"response_range":{}}]"#,
            ),
        ),
        answer(200, r#"{"header":{},"ID":"7","TTL":"2"}"#),
        answer(
            200,
            r#"{"result":{"header":{"raft_term":"3"},"ID":"7","TTL":"2"}}"#,
        ),
        answer(200, r#"{"header":{}}"#),
    ]);
    let mut gateway = patient(&to(&script));
    gateway.call(&read("a")).unwrap();
    gateway.call(&read_all("a/")).unwrap();
    let lease = Some(7);
    gateway
        .call(&Call::Txn(crate::Txn {
            compare: vec![has_revision("a", 0), has_value("a", "1")],
            then: vec![
                put_under("a", "1", lease),
                crate::Op::Delete("a".to_owned()),
                crate::Op::Range(crate::KeyRange::Key("a".to_owned())),
            ],
            otherwise: vec![put("a", "")],
        }))
        .unwrap();
    let ttl = Duration::from_millis(1001);
    gateway.call(&Call::Grant { lease: 7, ttl }).unwrap();
    gateway.call(&Call::KeepAlive(7)).unwrap();
    gateway.call(&Call::Revoke(7)).unwrap();
    let asked = script.asked();
    let paths_and_bodies: Vec<_> = asked.iter().map(|it| (&*it.path, &*it.body)).collect();
    let txn = concat!(
        r#"{"compare":[{"key":"YQ==","mod_revision":"0","result":"EQUAL","target":"MOD"},"#,
        r#"{"key":"YQ==","result":"EQUAL","target":"VALUE","value":"MQ=="}],"#,
        r#""failure":[{"request_put":{"key":"YQ==","value":""}}],"#,
        r#""success":[{"request_put":{"key":"YQ==","lease":"7","value":"MQ=="}},"#,
        r#"{"request_delete_range":{"key":"YQ=="}},{"request_range":{"key":"YQ=="}}]}"#,
    );
    assert_eq!(
        paths_and_bodies,
        [
            ("/v3/kv/range", r#"{"key":"YQ=="}"#),
            ("/v3/kv/range", r#"{"key":"YS8=","range_end":"YTA="}"#),
            ("/v3/kv/txn", txn),
            ("/v3/lease/grant", r#"{"ID":"7","TTL":"2"}"#),
            ("/v3/lease/keepalive", r#"{"ID":"7"}"#),
            ("/v3/lease/revoke", r#"{"ID":"7"}"#),
        ]
    );
    for asked in asked {
        // A member that is cut off shall say so, and all reads are linearizable.
        assert!(asked.head.contains("grpc-metadata-hasleader: true"));
        assert!(!asked.body.contains("serializable"));
        assert!(!asked.head.contains("authorization"));
    }
}

#[test]
fn numbers_are_texts_or_numbers_and_what_is_absent_is_zero() {
    let script = Script::new([
        answer(200, EMPTY),
        answer(
            200,
            r#"{"header":{"cluster_id":7,"revision":8,"raft_term":3},"kvs":[{"key":"YQ==","mod_revision":5}],"count":1}"#,
        ),
        answer(200, &body(r#""responses":[{"response_range":{}}]"#)),
        chunked(200, r#"{"result":{"header":{"revision":"4"},"ID":"7"}}"#),
        chunked(
            200,
            "{\"result\":{\"header\":{\"raft_term\":\"3\"},\"ID\":\"7\",\"TTL\":\"5\"}}\n{\"result\":{}}\n",
        ),
    ]);
    let mut gateway = patient(&to(&script));
    let first = gateway.call(&read("a")).unwrap();
    let header = Header {
        cluster_id: u64::MAX,
        revision: 9,
        term: 3,
    };
    assert_eq!((first.header, values(first)), (header, vec![]));
    let second = gateway.call(&read("a")).unwrap();
    assert_eq!((second.header.cluster_id, second.header.revision), (7, 8));
    let [a] = &values(second)[..] else { panic!() };
    assert_eq!((&*a.value, a.create_revision, a.mod_revision), ("", 0, 5));
    let failed = crate::Txn {
        compare: vec![has_revision("a", 1)],
        otherwise: vec![crate::Op::Range(crate::KeyRange::Key("a".to_owned()))],
        ..crate::Txn::default()
    };
    let failed = gateway.call(&Call::Txn(failed)).unwrap();
    assert_eq!(outcome(failed), (false, vec![vec![]]));
    let dead = gateway.call(&Call::KeepAlive(7)).unwrap();
    assert_eq!(dead.answered, Answered::KeptAlive(None));
    let alive = gateway.call(&Call::KeepAlive(7)).unwrap();
    let ttl = Duration::from_secs(5);
    assert_eq!(alive.answered, Answered::KeptAlive(Some(ttl)));
}

#[test]
fn what_etcd_has_surely_not_done_is_refused() {
    for (play, says) in [
        (
            error(400, 3, "etcdserver: request is too large"),
            "too large",
        ),
        (
            error(400, 3, "etcdserver: user name is empty"),
            "--etcd-user",
        ),
        (
            error(403, 7, "etcdserver: permission denied"),
            "grant it a role",
        ),
        (
            error(
                400,
                11,
                "etcdserver: mvcc: required revision has been compacted",
            ),
            "compacted",
        ),
        (
            error(404, 5, "etcdserver: requested lease not found"),
            "lease not found",
        ),
        (
            error(429, 8, "etcdserver: too many requests"),
            "too many requests",
        ),
        (error(503, 14, "etcdserver: no leader"), "cut off"),
        (
            error(503, 14, "etcdserver: rpc not supported for learner"),
            "learner",
        ),
        (
            error(412, 9, "etcdserver: rpc not supported for learner"),
            "members that vote",
        ),
        (
            error(401, 16, "etcdserver: invalid auth token"),
            "invalid auth token",
        ),
        (error(501, 12, "unknown service"), "3.4 or later"),
        // Newer gateways have other fields.
        (
            answer(
                403,
                r#"{"code":7,"message":"etcdserver: permission denied","details":[]}"#,
            ),
            "grant it a role",
        ),
        (answer(404, "Not Found\n"), "--enable-grpc-gateway"),
        (
            answer(400, "Client sent an HTTP request to an HTTPS server.\n"),
            "write etcds://",
        ),
        (
            answer(
                400,
                "CommonName of client sending a request against gateway will be ignored",
            ),
            "common name",
        ),
        (answer(307, "elsewhere"), "not followed"),
        (
            answer(405, "Method Not Allowed"),
            "is this etcd's port for clients?",
        ),
    ] {
        let script = Script::new([play.clone()]);
        let text = refused(patient(&to(&script)).call(&a_write()));
        assert!(text.contains(says), "{play:?}: {text}");
        let begins = format!("etcd at {}: ", script.address());
        assert!(text.starts_with(&begins), "{text}");
        assert!(!text.contains('\n'), "{text:?}");
    }
}

#[test]
fn whatever_may_have_been_done_is_left_open_and_not_sent_again() {
    let huge = format!("{{\"header\":{{}},\"kvs\":[{}]}}", " ".repeat(5 << 20));
    let half =
        Play::SendAndEnd(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"header\"".to_vec());
    let chunks = Play::SendAndEnd(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"header\"".to_vec(),
    );
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for (play, says) in [
        (
            error(503, 14, "etcdserver: request timed out"),
            "request timed out",
        ),
        (
            error(503, 14, "etcdserver: leader changed"),
            "leader changed",
        ),
        (
            error(503, 14, "etcdserver: server stopped"),
            "server stopped",
        ),
        (
            error(503, 14, "transport is closing"),
            "transport is closing",
        ),
        (error(408, 1, "context canceled"), "context canceled"),
        (error(504, 4, "context deadline exceeded"), "deadline"),
        (error(500, 2, "something else"), "something else"),
        (
            error(429, 8, "etcdserver: mvcc: database space exceeded"),
            "defragment every member",
        ),
        (
            error(429, 8, "grpc: received message larger than max"),
            "larger than max",
        ),
        (
            answer(502, "<html>Bad\ngateway"),
            "it answers 502: <html>Bad\\ngateway; is this etcd's port",
        ),
        (answer(204, ""), "it answers 204; is this etcd's port"),
        (answer(200, "{}"), "missing field `header`"),
        (answer(200, "hello"), "cannot be understood"),
        (
            answer(200, &body(r#""succeeded":true"#)),
            "another number of answers",
        ),
        (
            answer(
                200,
                &body(r#""succeeded":true,"responses":[{"response_range":{}}]"#),
            ),
            "other questions",
        ),
        (Play::Hang, "no answer in 2 s"),
        (
            Play::SendAndEnd(Vec::new()),
            "if it speaks TLS, write etcds://",
        ),
        (
            Play::SendAndEnd(b"\x15\x03\x01 hello\r\n\r\n".to_vec()),
            "no answer by HTTP",
        ),
        (
            Play::SendAndEnd(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
            "broke before the answer",
        ),
        (half, "broke before the answer"),
        (chunks, "broke before the answer"),
        (answer(200, &huge), "more than 4194304 bytes"),
        (Play::Send(long.into_bytes()), "broke before the answer"),
    ] {
        let shown: String = format!("{play:?}").chars().take(200).collect();
        let ask = waiting_for(&play);
        let (script, other) = (Script::new([play]), Script::new([]));
        let target = to_both(&script.address(), &other.address());
        let text = unanswered(ask(&target).call(&a_write()));
        assert!(text.contains(says), "{shown}: {text}");
        let begins = format!("etcd at {}: ", script.address());
        assert!(text.starts_with(&begins), "{text}");
        assert!(!text.contains('\n') && text.len() < 400, "{text:?}");
        assert_eq!((script.count(), other.count()), (1, 0), "{shown}");
    }
}

#[test]
fn what_somebody_else_has_put_there_as_bytes_hides_nothing() {
    let body = body(concat!(
        r#""kvs":[{"key":"YS//","value":"//4=","mod_revision":"1"},"#,
        r#"{"key":"YS9i","value":"MQ==","mod_revision":"2"}]"#,
    ));
    let script = Script::new([answer(200, &body)]);
    let read = values(patient(&to(&script)).call(&read_all("a/")).unwrap());
    let read: Vec<_> = read.iter().map(|it| (&*it.key, &*it.value)).collect();
    assert_eq!(read, [("a/\u{fffd}", "\u{fffd}\u{fffd}"), ("a/b", "1")]);
}

/// etcd leaves out what is zero, and none of these ever is.
#[test]
fn an_answer_that_does_not_say_which_etcd_it_is_from_is_not_believed() {
    let txn = r#""succeeded":true,"responses":[{"response_put":{}}]"#;
    for (call, header, rest, absent) in [
        (read("a"), "", "", "cluster_id"),
        (
            read("a"),
            r#""revision":"9","raft_term":"3""#,
            "",
            "cluster_id",
        ),
        (
            read("a"),
            r#""cluster_id":"7","raft_term":"3""#,
            "",
            "revision",
        ),
        (
            read("a"),
            r#""cluster_id":"7","revision":"9""#,
            "",
            "raft_term",
        ),
        (a_write(), "", txn, "cluster_id"),
        (
            a_write(),
            r#""cluster_id":"7","raft_term":"3""#,
            txn,
            "revision",
        ),
    ] {
        let comma = if rest.is_empty() { "" } else { "," };
        let body = format!("{{\"header\":{{{header}}}{comma}{rest}}}");
        let script = Script::new([answer(200, &body)]);
        let text = unanswered(patient(&to(&script)).call(&call));
        let says = format!("its answer has no {absent}, which etcd always tells: name the members");
        assert!(text.contains(&says), "{body}: {text}");
    }
    // A renewed lease counts only under the leader who has renewed it. One that is gone is gone.
    let script = Script::new([
        chunked(200, r#"{"result":{"header":{},"ID":"7","TTL":"5"}}"#),
        chunked(200, r#"{"result":{"header":{},"ID":"7"}}"#),
    ]);
    let mut gateway = patient(&to(&script));
    let text = unanswered(gateway.call(&Call::KeepAlive(7)));
    assert!(text.contains("its answer has no raft_term"), "{text}");
    let gone = gateway.call(&Call::KeepAlive(7)).unwrap();
    assert_eq!(gone.answered, Answered::KeptAlive(None));
}

#[test]
fn answers_that_are_odd_are_not_believed() {
    for (call, body) in [
        (
            read("a"),
            &*body(r#""kvs":[{"key":"!","mod_revision":"1"}]"#),
        ),
        (read("a"), &*body(r#""kvs":[{"key":"YQ=="}]"#)),
        (read("a"), r#"{"header":{"revision":"many"}}"#),
        (grant(7, 5), r#"{"header":{},"ID":"8","TTL":"5"}"#),
        (grant(7, 5), r#"{"header":{},"ID":"7"}"#),
        (
            Call::KeepAlive(7),
            r#"{"result":{"header":{},"ID":"8","TTL":"5"}}"#,
        ),
        (Call::KeepAlive(7), "{}"),
        (Call::KeepAlive(7), ""),
    ] {
        let script = Script::new([answer(200, body)]);
        let text = unanswered(patient(&to(&script)).call(&call));
        assert!(text.contains("cannot be understood"), "{body}: {text}");
    }
    // A stream says so after its status or with it.
    let stream = r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}"#;
    for status in [200, 503] {
        let script = Script::new([chunked(status, stream)]);
        let text = refused(patient(&to(&script)).call(&Call::KeepAlive(7)));
        assert!(text.contains("or it is cut off from them"), "{text}");
    }
}

#[test]
fn a_read_goes_on_to_the_next_endpoint_and_stays_there() {
    for play in [
        error(503, 14, "etcdserver: request timed out"),
        Play::Hang,
        Play::SendAndEnd(Vec::new()),
        answer(404, "Not Found"),
    ] {
        let ask = waiting_for(&play);
        let bad = Script::new([play]);
        let good = Script::new([answer(200, EMPTY), answer(200, EMPTY)]);
        let mut gateway = ask(&to_both(&bad.address(), &good.address()));
        gateway.call(&read("a")).unwrap();
        gateway.call(&read("a")).unwrap();
        assert_eq!((bad.count(), good.count()), (1, 2));
    }
}

#[test]
fn a_write_goes_on_only_where_the_endpoint_has_surely_done_nothing() {
    let done = body(r#""succeeded":true,"responses":[{"response_put":{}}]"#);
    let (nobody, silent) = (Nobody::new(), Silent::new());
    for away in [nobody.address(), silent.socket_address().to_string()] {
        let good = Script::new([answer(200, &done), answer(200, &done)]);
        let mut gateway = gateway(&to_both(&away, &good.address()));
        gateway.call(&a_write()).unwrap();
        gateway.call(&a_write()).unwrap();
        assert_eq!(good.count(), 2);
    }
    let off = Script::new([error(503, 14, "etcdserver: no leader")]);
    let good = Script::new([answer(200, &done)]);
    let mut gateway = gateway(&to_both(&off.address(), &good.address()));
    gateway.call(&a_write()).unwrap();
    // If none does it, all are named, and what they have in common is said once.
    let (nobody, silent) = (nobody.address(), silent.socket_address().to_string());
    let other = Nobody::new();
    let target = format!("etcd://{nobody},{silent},{}", other.address());
    let text = refused(crate::gateway(&target).call(&a_write()));
    let first = format!(
        "etcd at {nobody} and {}: it cannot be reached: ",
        other.address()
    );
    assert!(text.starts_with(&first), "{text}");
    let second = format!(
        "; is it running? And etcd at {silent}: it cannot be reached in 1 s; is it running?"
    );
    assert!(text.ends_with(&second), "{text}");
    let full = || error(503, 14, "etcdserver: no leader");
    let (one, other) = (Script::new([full()]), Script::new([full()]));
    let third = Script::new([answer(404, "Not Found")]);
    let [one, other, third] = [&one, &other, &third].map(Script::address);
    let target = format!("etcd://{one},{other},{third}");
    let text = refused(crate::gateway(&target).call(&a_write()));
    let first = format!("etcd at {one} and {other}: etcdserver: no leader: ");
    assert!(text.starts_with(&first), "{text}");
    let second = format!("cut off from them; and etcd at {third}: it has no JSON gateway");
    assert!(text.contains(&second), "{text}");
    let text = refused(crate::gateway("etcd://no.host.invalid").call(&a_write()));
    assert!(text.contains("its name cannot be looked up"), "{text}");
    assert!(!text.contains("is it running"), "{text}");
}

#[test]
fn after_a_write_without_an_answer_the_next_endpoint_is_asked_first() {
    let late = Script::new([Play::Hang]);
    let good = Script::new([answer(200, EMPTY)]);
    let mut gateway = gateway(&to_both(&late.address(), &good.address()));
    unanswered(gateway.call(&a_write()));
    gateway.call(&read("a")).unwrap();
    assert_eq!((late.count(), good.count()), (1, 1));
}

#[test]
fn a_connection_is_used_again_unless_it_was_ended() {
    let end = |body: &str| match answer(200, body) {
        Play::Send(bytes) => Play::SendAndEnd(bytes),
        other => other,
    };
    let script = Script::new([
        answer(200, EMPTY),
        error(412, 9, "etcdserver: something"),
        end(EMPTY),
        answer(200, EMPTY),
    ]);
    let mut gateway = patient(&to(&script));
    gateway.call(&read("a")).unwrap();
    refused(gateway.call(&read("a")));
    gateway.call(&read("a")).unwrap();
    // Until it hears of the end, a request may still be sent into it.
    assert!(eventually(|| gateway.call(&read("a")).is_ok()));
    assert_eq!(script.count(), 4);
}

#[test]
fn a_token_is_got_first_and_again_when_it_is_not_taken_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    fs::write(&user, "ann:secret\n").unwrap();
    let secrets = Secrets {
        user: Some(user),
        ..Secrets::default()
    };
    let token = |token: &str| answer(200, &format!("{{\"header\":{{}},\"token\":\"{token}\"}}"));
    let script = Script::new([
        token("one"),
        answer(200, EMPTY),
        error(401, 16, "etcdserver: invalid auth token"),
        token("two"),
        answer(200, EMPTY),
        error(400, 3, "etcdserver: revision of auth store is old"),
        token("three"),
        error(401, 16, "etcdserver: invalid auth token"),
        error(
            400,
            3,
            "etcdserver: authentication failed, invalid user ID or password",
        ),
        // What was asked for was not done, whatever became of the token.
        error(503, 14, "etcdserver: request timed out"),
        error(412, 9, "etcdserver: authentication is not enabled"),
        answer(200, EMPTY),
        answer(200, EMPTY),
    ]);
    let mut gateway = patient_with(&to(&script), &secrets);
    gateway.call(&read("a")).unwrap();
    gateway.call(&read("a")).unwrap();
    let text = refused(gateway.call(&a_write()));
    assert!(text.contains("invalid auth token"), "{text}");
    let text = refused(gateway.call(&a_write()));
    assert!(text.contains("the file of --etcd-user"), "{text}");
    let text = refused(gateway.call(&a_write()));
    assert!(text.contains("request timed out"), "{text}");
    gateway.call(&read("a")).unwrap();
    gateway.call(&read("a")).unwrap();
    let asked = script.asked();
    let shown: Vec<String> = asked
        .iter()
        .map(|asked| {
            let token = asked.head.split("authorization: ").nth(1);
            let token = token.map_or("none", |rest| rest.split("\r\n").next().unwrap());
            format!("{} {token}", asked.path.rsplit('/').next().unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "authenticate none",
            "range one",
            "range one",
            "authenticate none",
            "range two",
            "txn two",
            "authenticate none",
            "txn three",
            "authenticate none",
            "authenticate none",
            "authenticate none",
            "range none",
            "range none",
        ]
    );
    assert_eq!(asked[0].body, r#"{"name":"ann","password":"secret"}"#);
}

#[test]
fn a_lease_that_is_gone_is_revoked() {
    let gone = || error(404, 5, "etcdserver: requested lease not found");
    let script = Script::new([answer(200, EMPTY), gone(), gone()]);
    let mut gateway = patient(&to(&script));
    let header = gateway.call(&read("a")).unwrap().header;
    let revoked = gateway.call(&Call::Revoke(7)).unwrap();
    assert_eq!(
        (revoked.header, revoked.answered),
        (header, Answered::Revoked)
    );
    // For anything else this is an error.
    let error = gateway.call(&write(vec![put_under("a", "1", Some(7))]));
    assert!(matches!(error, Err(CallError::Refused(_))), "{error:?}");
}
