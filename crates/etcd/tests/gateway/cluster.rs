use ipseity_etcd::{Answer, Call, Gateway};
use ipseity_harness::{
    etcd::Etcd,
    server::{PATIENCE, eventually},
};

use crate::{gateway, patient, put, read, unanswered, values, write};

fn has_one(answer: Answer) -> bool {
    values(answer).len() == 1
}

#[test]
fn calls_go_on_whichever_member_is_away() {
    let mut etcd = Etcd::cluster();
    let mut gateway = gateway(&etcd.target());
    let mut count = 0;
    let mut write_until_done = |etcd: &Etcd| {
        count += 1;
        // A write without an answer may be done much later, so each has a key of its own.
        let key = format!("a/{count}");
        let written = eventually(|| gateway.call(&write(vec![put(&key, "1")])).is_ok());
        assert!(written, "{PATIENCE:?} were not enough: {}", etcd.log(0));
        assert!(eventually(|| gateway.call(&read(&key)).is_ok_and(has_one)));
    };
    write_until_done(&etcd);
    let leader = etcd.leader();
    etcd.kill(leader);
    write_until_done(&etcd);
    etcd.restart(leader);
    etcd.wait_until_ready();
    let leader = etcd.leader();
    etcd.pause(leader);
    write_until_done(&etcd);
    etcd.resume(leader);
    write_until_done(&etcd);
    let leader = etcd.leader();
    etcd.cut_off(leader);
    write_until_done(&etcd);
    etcd.heal();
    write_until_done(&etcd);
}

#[test]
fn a_member_that_is_cut_off_refuses_at_once_and_promises_nothing() {
    let etcd = Etcd::cluster();
    let leader = etcd.leader();
    let other = (leader + 1) % etcd.size();
    let mut whole = gateway(&etcd.target());
    let is_done = |gateway: &mut Gateway, value: &str| {
        eventually(|| gateway.call(&write(vec![put("a", value)])).is_ok())
    };
    assert!(is_done(&mut whole, "1"));
    let endpoint = |index: usize| format!("etcd://{}", etcd.endpoints()[index]);
    etcd.cut_off(other);
    let mut alone = gateway(&endpoint(other));
    // Until it has noticed, it tries: nobody knows whether that works out.
    let says_so = eventually(|| {
        let error = alone.call(&write(vec![put("a", "2")]));
        let Err(error) = error else { return false };
        error.to_string().contains("no leader")
    });
    assert!(says_so);
    let says_so = eventually(|| {
        let error = alone.call(&read("a"));
        let Err(error) = error else { return false };
        error.to_string().contains("or it is cut off from them")
    });
    assert!(says_so);
    // The same call reaches another member, because this one has surely done nothing.
    let target = format!("{},{}", endpoint(other), etcd.endpoints()[leader]);
    let mut both = gateway(&target);
    assert!(is_done(&mut both, "3"));
    etcd.heal();
}

#[test]
fn a_write_without_an_answer_is_not_sent_again() {
    let etcd = Etcd::start();
    patient(&etcd.target())
        .call(&write(vec![put("a", "1")]))
        .unwrap();
    let mut gateway = gateway(&etcd.target());
    etcd.pause(0);
    let text = unanswered(gateway.call(&write(vec![put("a", "2")])));
    assert!(text.contains("no answer in 2 s"), "{text}");
    let text = unanswered(gateway.call(&Call::KeepAlive(7)));
    assert!(text.contains("no answer in 2 s"), "{text}");
    etcd.resume(0);
    // Whether etcd has read it before it saw that nobody waits any more: nobody knows.
    let is_one_of_both = eventually(|| {
        let read = gateway.call(&read("a"));
        read.is_ok_and(|answer| ["1", "2"].contains(&&*values(answer)[0].value))
    });
    assert!(is_one_of_both);
}
