use std::{
    fs,
    io::{self, Write as _},
    net::TcpListener,
    thread,
    time::Duration,
};

use ipseity_etcd::{Answered, Call, Secrets, Txn};
use ipseity_harness::{
    etcd::{Etcd, ROOT, Setting},
    pki::{Life, Pki},
    server::eventually,
};

use crate::{
    grant, has_revision, has_value, outcome, patient, patient_with, put, put_under, read, read_all,
    refused, unanswered, values, write,
};

/// A time to live that no test outlives.
const LONG: u64 = 3600;

#[test]
fn every_call_is_answered() {
    let etcd = Etcd::start();
    let mut gateway = patient(&etcd.target());

    let empty = gateway.call(&read("a/1")).unwrap();
    assert_ne!(empty.header.cluster_id, 0);
    let begin = empty.header.revision;
    assert_eq!(values(empty), []);

    // Compare with a key that is absent: revision 0, and no value at all.
    let claim = Txn {
        compare: vec![has_revision("a/1", 0)],
        then: vec![put("a/1", "one"), crate::Op::Range(key("a/1"))],
        otherwise: vec![crate::Op::Range(key("a/1"))],
    };
    let done = gateway.call(&Call::Txn(claim.clone())).unwrap();
    assert_eq!(done.header.revision, begin + 1);
    let (succeeded, ranges) = outcome(done);
    assert!(succeeded);
    let [one] = &ranges[0][..] else {
        panic!("{ranges:?}")
    };
    assert_eq!((&*one.key, &*one.value, one.lease), ("a/1", "one", None));
    assert_eq!(
        (one.create_revision, one.mod_revision),
        (begin + 1, begin + 1)
    );
    let again = gateway.call(&Call::Txn(claim)).unwrap();
    assert_eq!(outcome(again), (false, vec![vec![one.clone()]]));
    for (compare, holds) in [
        (has_value("a/none", ""), false),
        (has_value("a/1", "two"), false),
        (has_value("a/1", "one"), true),
        (has_revision("a/1", one.mod_revision), true),
        (has_revision("a/1", one.mod_revision + 1), false),
    ] {
        let ask = Txn {
            compare: vec![compare.clone()],
            ..Txn::default()
        };
        let answer = gateway.call(&Call::Txn(ask)).unwrap();
        assert_eq!(outcome(answer), (holds, vec![]), "{compare:?}");
    }

    // Keys and values are any text, and a prefix is exact.
    let text = "Grüße \"鍵\" \\ \n\u{7f}";
    let written = write(vec![put("a/2", text), put("b", ""), put("a0", "behind")]);
    gateway.call(&written).unwrap();
    let found = values(gateway.call(&read_all("a/")).unwrap());
    let found: Vec<_> = found.iter().map(|one| (&*one.key, &*one.value)).collect();
    assert_eq!(found, [("a/1", "one"), ("a/2", text)]);
    let b = values(gateway.call(&read("b")).unwrap());
    assert_eq!((b.len(), &*b[0].value), (1, ""));
    gateway
        .call(&write(vec![crate::Op::Delete("b".to_owned())]))
        .unwrap();
    assert_eq!(values(gateway.call(&read("b")).unwrap()), []);

    // A lease, what is under it, and its end. Numbers of more than 53 bits arrive whole.
    let lease = i64::MAX - 1;
    let granted = gateway.call(&grant(lease, LONG)).unwrap().answered;
    let ttl = Duration::from_secs(LONG);
    assert_eq!(granted, Answered::Granted { ttl });
    let text = refused(gateway.call(&grant(lease, LONG)));
    assert!(text.contains("lease already exists"), "{text}");
    gateway
        .call(&write(vec![put_under("own", "me", Some(lease))]))
        .unwrap();
    let own = values(gateway.call(&read("own")).unwrap());
    assert_eq!(own[0].lease, Some(lease));
    let kept = gateway.call(&Call::KeepAlive(lease)).unwrap();
    assert_eq!(kept.header.cluster_id, granted_cluster(&mut gateway));
    assert_eq!(kept.answered, Answered::KeptAlive(Some(ttl)));
    for _ in 0..2 {
        let revoked = gateway.call(&Call::Revoke(lease)).unwrap();
        assert_eq!(revoked.answered, Answered::Revoked);
        assert_eq!(revoked.header.cluster_id, granted_cluster(&mut gateway));
    }
    assert_eq!(values(gateway.call(&read("own")).unwrap()), []);
    let dead = gateway.call(&Call::KeepAlive(lease)).unwrap();
    assert_eq!(dead.answered, Answered::KeptAlive(None));
    let text = refused(gateway.call(&write(vec![put_under("own", "me", Some(lease))])));
    assert!(text.contains("lease not found"), "{text}");
}

fn key(key: &str) -> crate::KeyRange {
    crate::KeyRange::Key(key.to_owned())
}

fn granted_cluster(gateway: &mut ipseity_etcd::Gateway) -> u64 {
    gateway.call(&read("none")).unwrap().header.cluster_id
}

#[test]
fn a_list_of_all_pids_has_room() {
    let etcd = Etcd::start();
    let mut gateway = patient(&etcd.target());
    // Two keys of each of 1024 pids, longer than they ever are. A transaction takes 128 operations.
    let value = "x".repeat(1000);
    for sixteenth in 0..16 {
        let keys = (0..128).map(|key| format!("shop/ids/pid/{sixteenth:02}{key:03}/state"));
        let puts = keys.map(|key| put(&key, &value)).collect();
        gateway.call(&write(puts)).unwrap();
    }
    let all = values(gateway.call(&read_all("shop/")).unwrap());
    assert_eq!(all.len(), 2048);
    assert!(all.iter().all(|one| one.value == value));
    assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
}

#[test]
fn a_lease_without_a_sign_of_life_dies_with_its_keys() {
    let etcd = Etcd::start();
    let mut gateway = patient(&etcd.target());
    gateway.call(&grant(7, 1)).unwrap();
    gateway
        .call(&write(vec![put_under("own", "me", Some(7))]))
        .unwrap();
    let is_gone = || values(gateway.call(&read("own")).unwrap()).is_empty();
    assert!(eventually(is_gone));
    let mut gateway = crate::patient(&etcd.target());
    let dead = gateway.call(&Call::KeepAlive(7)).unwrap();
    assert_eq!(dead.answered, Answered::KeptAlive(None));
}

#[test]
fn etcd_that_is_full_says_so_and_may_have_done_it() {
    let etcd = Etcd::start_with(&["--quota-backend-bytes", "100000"]);
    let mut gateway = patient(&etcd.target());
    let much = write(vec![put("much", &"x".repeat(50_000))]);
    let mut said = None;
    for _ in 0..100 {
        if let Err(error) = gateway.call(&much) {
            said = Some(error);
            break;
        }
    }
    let text = unanswered(Err(said.unwrap()));
    assert!(text.contains("it is full"), "{text}");
    assert!(text.contains("etcdctl alarm disarm"), "{text}");
    // What needs no room goes on.
    values(gateway.call(&read("much")).unwrap());
    let text = unanswered(gateway.call(&grant(7, LONG)));
    assert!(text.contains("it is full"), "{text}");
    assert_eq!(
        gateway.call(&Call::KeepAlive(7)).unwrap().answered,
        Answered::KeptAlive(None)
    );
}

#[test]
fn a_compaction_changes_nothing() {
    let etcd = Etcd::start();
    let mut gateway = patient(&etcd.target());
    for value in ["1", "2", "3"] {
        gateway.call(&write(vec![put("a", value)])).unwrap();
    }
    let before = gateway.call(&read("a")).unwrap();
    etcd.ctl(&["compact", "--physical", &before.header.revision.to_string()]);
    assert_eq!(gateway.call(&read("a")).unwrap(), before);
    let [a] = &values(before)[..] else { panic!() };
    let raise = Txn {
        compare: vec![has_revision("a", a.mod_revision), has_value("a", "3")],
        then: vec![put("a", "4")],
        ..Txn::default()
    };
    assert!(outcome(gateway.call(&Call::Txn(raise)).unwrap()).0);
}

#[test]
fn users_have_tokens_which_are_renewed() {
    let mut etcd = Etcd::start();
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    fs::write(&user, "ann:a wrong one\n").unwrap();
    let secrets = Secrets {
        user: Some(user.clone()),
        ..Secrets::default()
    };
    // As long as etcd has no users, nobody is asked.
    let mut known = patient_with(&etcd.target(), &secrets);
    known.call(&write(vec![put("shop/a", "1")])).unwrap();
    etcd.add_user("ann", "secret: of ann", "shop/");
    etcd.enable_users();

    let mut nobody = patient(&etcd.target());
    let text = refused(nobody.call(&read("shop/a")));
    assert!(text.contains("--etcd-user"), "{text}");
    let text = refused(known.call(&read("shop/a")));
    assert!(text.contains("does not know this user"), "{text}");
    fs::write(&user, "ann:secret: of ann\n").unwrap();
    assert_eq!(values(known.call(&read("shop/a")).unwrap())[0].value, "1");
    for call in [
        read("other/a"),
        read_all("shop"),
        write(vec![put("other/a", "1")]),
    ] {
        let text = refused(known.call(&call));
        assert!(text.contains("permission denied"), "{text}");
        assert!(text.contains("grant it a role"), "{text}");
    }
    // A token of somebody who is gone is not taken any more, and what is then in the file is.
    fs::write(&user, format!("{}:{}\n", ROOT.0, ROOT.1)).unwrap();
    etcd.ctl(&["user", "delete", "ann"]);
    known.call(&write(vec![put("other/a", "1")])).unwrap();
    known.call(&grant(7, LONG)).unwrap();
    known.call(&Call::KeepAlive(7)).unwrap();
    known.call(&Call::Revoke(7)).unwrap();
}

#[test]
fn tls_shows_and_asks_for_certificates() {
    let pki = Pki::new("ca of etcd");
    for (file, hosts) in [("etcd", &["127.0.0.1"][..]), ("ctl", &[]), ("ipseity", &[])] {
        pki.issue(file, hosts, Life::Now);
    }
    let setting = Setting {
        tls: Some(&pki),
        ..Setting::default()
    };
    let etcd = Etcd::start_as(1, &setting);
    assert!(etcd.target().starts_with("etcds://"));
    let secrets = Secrets {
        ca: Some(pki.path("ca.pem")),
        certificate: Some(pki.path("ipseity.pem")),
        key: Some(pki.path("ipseity.key")),
        user: None,
    };
    let mut known = patient_with(&etcd.target(), &secrets);
    known.call(&write(vec![put("a", "1")])).unwrap();
    assert_eq!(values(known.call(&read("a")).unwrap())[0].value, "1");
    known.call(&grant(7, LONG)).unwrap();
    known.call(&Call::KeepAlive(7)).unwrap();

    // Nobody who does not show a certificate is let in, and nothing of theirs is done.
    let stranger = Secrets {
        certificate: None,
        key: None,
        ..secrets.clone()
    };
    let mut stranger = patient_with(&etcd.target(), &stranger);
    let text = refused(stranger.call(&write(vec![put("a", "2")])));
    assert!(text.contains("--etcd-cert, --etcd-key"), "{text}");
    // Whom nobody knows is not told anything.
    let other = Pki::new("another ca");
    let believer = Secrets {
        ca: Some(other.path("ca.pem")),
        ..secrets.clone()
    };
    let mut believer = patient_with(&etcd.target(), &believer);
    let text = refused(believer.call(&write(vec![put("a", "2")])));
    assert!(text.contains("ca of etcd"), "{text}");
    let plain = etcd.target().replace("etcds://", "etcd://");
    let error = patient(&plain)
        .call(&write(vec![put("a", "2")]))
        .unwrap_err();
    assert!(error.to_string().contains("write etcds://"), "{error}");
    assert_eq!(values(known.call(&read("a")).unwrap())[0].value, "1");
}

#[test]
fn tls_to_a_port_without_it_is_explained() {
    let pki = Pki::new("ca");
    let etcd = Etcd::start();
    let secrets = Secrets {
        ca: Some(pki.path("ca.pem")),
        ..Secrets::default()
    };
    let target = etcd.target().replace("etcd://", "etcds://");
    let text = refused(patient_with(&target, &secrets).call(&write(vec![put("a", "2")])));
    assert!(text.contains("write etcd://"), "{text}");
}

#[test]
fn tls_to_what_answers_without_it_is_explained() {
    let pki = Pki::new("ca");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("etcds://{}", listener.local_addr().unwrap());
    let plain = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        // What came is read, so that the answer is not lost by a reset.
        io::copy(&mut socket, &mut io::sink())
    });
    let secrets = Secrets {
        ca: Some(pki.path("ca.pem")),
        ..Secrets::default()
    };
    let text = refused(patient_with(&target, &secrets).call(&read("a")));
    assert!(text.contains("write etcd:// in --store"), "{text}");
    let _ = plain.join().unwrap();
}

#[test]
fn a_gateway_that_is_off_is_explained() {
    let etcd = Etcd::start_with(&["--enable-grpc-gateway=false"]);
    let text = refused(patient(&etcd.target()).call(&write(vec![put("a", "2")])));
    assert!(text.contains("--enable-grpc-gateway"), "{text}");
}
