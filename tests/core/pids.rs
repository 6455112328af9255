//! The procedures of the pids in etcd, one at a time, against a store that does what it is told.

// Long because: every procedure has its scenarios here, and all of them need the same store.

use std::{collections::VecDeque, time::Duration};

use ipseity_core::{
    actor::Life,
    identity::{Pid, Sequence},
    time::Instant,
    words::ClusterName,
};
use ipseity_etcd::{Call, CallError, KeyRange, Op, Procedure, Step};
use ipseity_pids::{
    Breach, Claim, Claimant, Epoch, Import, Imported, Keep, Kept, Layout, Look, Lost, Mark,
    NoClaim, NoImport, Raise, Stop, Survey, Tenure, Wanted,
    layout::{Key, LIVES_MAX, Meta, Owner, State, Value},
    survey::Found,
};
use ipseity_sim::etcd::store::Store;

const ETCD: u64 = 0xe7cd;
const TTL: Duration = Duration::from_secs(10);
const STEP: u64 = 100;

/// What becomes of the next call.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    AnswerLost,
    Refused,
}

/// A store, its clock, and what goes wrong with the next calls.
struct Etcd {
    store: Store,
    now: Instant,
    fates: VecDeque<Fate>,
    random: fastrand::Rng,
    /// All calls that were made.
    calls: Vec<Call>,
}

impl Etcd {
    fn new() -> Etcd {
        Etcd {
            store: Store::new(ETCD),
            now: Instant::START,
            fates: VecDeque::new(),
            random: fastrand::Rng::with_seed(1),
            calls: Vec::new(),
        }
    }

    /// After a restore: the revision has come as far again.
    fn come_as_far(&mut self) {
        for _ in 0..10 {
            self.store.put("/other", "x");
        }
    }

    fn run<P: Procedure>(&mut self, mut procedure: P) -> P::Output {
        let mut result = None;
        for _ in 0..1_000 {
            let step = procedure.step(result.take(), &mut || self.random.u64(..));
            match step {
                Step::Call(call) => result = Some(self.call(call)),
                Step::Wait(wait) => self.pass(wait),
                Step::Done(output) => return output,
            }
        }
        panic!("it turns in a circle");
    }

    fn call(&mut self, call: Call) -> Result<ipseity_etcd::Answer, CallError> {
        self.calls.push(call.clone());
        let unanswered = || Err(CallError::Unanswered("no answer in time".to_owned()));
        match self.fates.pop_front() {
            Some(Fate::Lost) => unanswered(),
            Some(Fate::Refused) => Err(CallError::Refused("no space".to_owned())),
            Some(Fate::AnswerLost) => {
                self.store.apply(&call, self.now).unwrap();
                unanswered()
            }
            None => self
                .store
                .apply(&call, self.now)
                .map_err(CallError::Refused),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.store.expire(self.now);
    }

    fn try_claim(&mut self, wanted: Wanted) -> Result<Tenure, NoClaim> {
        self.run(Claim::new(layout(), wanted, claimant()))
    }

    fn claim(&mut self, number: u16) -> Tenure {
        self.try_claim(Wanted::Pid(pid(number))).unwrap()
    }

    fn raise(&mut self, tenure: &Tenure, ceiling: u64) -> Result<Mark, Lost> {
        let handed_out = tenure.state.value.sequence;
        self.run(Raise::new(tenure, handed_out, sequence(ceiling)))
    }

    fn look(&mut self) -> Survey {
        self.run(Look::new(layout())).unwrap()
    }

    fn found(&mut self, number: u16) -> Found {
        self.look().pid(pid(number)).clone()
    }

    fn state(&mut self, number: u16) -> State {
        self.found(number).state.seen().unwrap().value.clone()
    }

    /// Puts a state there by hand.
    fn overwrite(&mut self, number: u16, change: impl FnOnce(&mut State)) {
        let mut state = self.state(number);
        change(&mut state);
        self.store.put(&layout().state(pid(number)), &state.text());
    }
}

fn layout() -> Layout {
    Layout::new("/ids", &ClusterName::default())
}

fn claimant() -> Claimant {
    Claimant {
        address: "10.0.0.7:3264".parse().unwrap(),
        since: "2026-11-29T06:00:00Z".to_owned(),
        ttl: TTL,
        step: STEP,
    }
}

fn pid(number: u16) -> Pid {
    Pid::new(number).unwrap()
}

fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

fn auto(first: u16, last: u16) -> Wanted {
    Wanted::Auto {
        first: pid(first),
        last: pid(last),
    }
}

#[test]
fn keys_are_text_and_of_one_cluster_only() {
    let layout = layout();
    let keys = [
        ("/ids/ipseity/meta", Key::Meta),
        ("/ids/ipseity/pid/0007/state", Key::State(pid(7))),
        ("/ids/ipseity/pid/1023/owner", Key::Owner(pid(1023))),
    ];
    assert_eq!(layout.meta(), keys[0].0);
    assert_eq!(layout.state(pid(7)), keys[1].0);
    assert_eq!(layout.owner(pid(1023)), keys[2].0);
    for (key, is) in keys {
        assert_eq!(layout.key(key), Some(is), "{key}");
    }
    for key in [
        "/ids/ipseity/pid/7/state",
        "/ids/ipseity/pid/1024/state",
        "/ids/ipseity/pid/+007/state",
        "/ids/ipseity/pid/0007/",
        "/ids/ipseity/pid/0007/states",
        "/ids/ipseity/meta2",
        "/ids/other/meta",
    ] {
        assert_eq!(layout.key(key), None, "{key}");
    }
    // A cluster may have a slash in its name.
    let inner = Layout::new("/ids/", &"ipseity/pid".parse().unwrap());
    assert_eq!(inner.root(), "/ids/ipseity%2Fpid/");
    let (KeyRange::Prefix(outer), KeyRange::Prefix(inner)) = (layout.all(), inner.all()) else {
        panic!("they are prefixes");
    };
    assert!(!inner.starts_with(&outer));
}

#[test]
fn values_are_short_texts() {
    let state = State {
        incarnation: 0xab,
        boot: 3,
        session: 0x1f,
        sequence: sequence(2_048),
        ceiling: sequence(9_535),
        highest: sequence(9_535),
        stopped: false,
        epoch: 1,
        lives: vec![Life {
            boot: 2,
            session: 0x2e,
            ceiling: sequence(1_024),
        }],
    };
    let text = "{\"incarnation\":\"000000000000000000000000000000ab\",\"boot\":3,\
                \"session\":\"000000000000001f\",\"sequence\":2048,\"ceiling\":9535,\"highest\":9535,\"stopped\":false,\"epoch\":1,\
                \"lives\":[{\"boot\":2,\"session\":\"000000000000002e\",\"ceiling\":1024}]}";
    assert_eq!(state.text(), text);
    assert_eq!(State::read(text), Ok(state));
    for (from, to, error) in [
        (
            "\"highest\":9535",
            "\"highest\":9534",
            "the ceiling is above the highest",
        ),
        ("\"boot\":3", "\"boot\":0", "do not grow"),
        ("\"boot\":3", "\"boot\":2", "do not grow"),
        (
            "\"boot\":3",
            "\"boot\":3,\"zone\":1",
            "unknown field `zone`",
        ),
        ("\"boot\":3,", "", "missing field `boot`"),
        ("\"boot\":3", "\"boot\":3.5", "invalid type"),
        ("\"boot\":2", "\"boot\":0", "`boot` is 0"),
        ("000ab\"", "000AB\"", "`incarnation` is not 32 digits"),
        ("00001f\"", "0001f\"", "`session` is not 16 digits"),
        ("2048", "9536", "the sequence is above the ceiling"),
        ("9535", "9007199254740992", "that is no sequence"),
        ("false", "true", "it has stopped"),
        ("\"epoch\":1", "\"epoch\":0", "`epoch` is 0"),
        ("\"epoch\":1", "\"epoch\":4294967296", "`epoch` is above"),
    ] {
        let read = State::read(&text.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(read.contains(error), "{to}: {read}");
    }

    let meta = Meta {
        id: 5,
        epoch: 2,
        etcd: ETCD,
        above: sequence(7),
    };
    let text = "{\"id\":\"00000000000000000000000000000005\",\"epoch\":2,\"etcd\":\"000000000000e7cd\",\"above\":7}";
    assert_eq!(meta.text(), text);
    assert_eq!(Meta::read(text), Ok(meta));

    let owner = Owner {
        session: 1,
        address: "id1.example:3264".parse().unwrap(),
        since: "2026-11-29T06:00:00Z".to_owned(),
    };
    let text = "{\"session\":\"0000000000000001\",\"address\":\"id1.example:3264\",\"since\":\"2026-11-29T06:00:00Z\"}";
    assert_eq!(owner.text(), text);
    assert_eq!(Owner::read(text), Ok(owner));
    for (from, to, error) in [
        (":3264", "", "nobody can connect"),
        ("id1.example", "0.0.0.0", "nobody can connect"),
        ("id1.example", "a b", "its address"),
        ("2026-11-29", "\\u001b[2J", "`since` is not a time"),
    ] {
        let read = Owner::read(&text.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(read.contains(error), "{to}: {read}");
    }
}

#[test]
fn the_first_claim_makes_what_the_cluster_has_in_common() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    assert_eq!(tenure.above, Sequence::ZERO);
    assert_eq!(tenure.ceiling(), sequence(STEP));
    assert_eq!((tenure.state.value.boot, tenure.is_first), (1, true));
    let survey = etcd.look();
    assert_eq!(survey.meta.seen(), Some(&tenure.watch.meta));
    let meta = survey.meta.seen().unwrap().value;
    assert_eq!(
        (meta.epoch, meta.etcd, meta.above),
        (1, ETCD, Sequence::ZERO)
    );
    assert_eq!(survey.owners(), [(pid(7), tenure.owner.clone())]);
    assert_eq!(survey.pid(pid(7)).state.seen(), Some(&tenure.state));
}

#[test]
fn only_the_claim_that_makes_the_cluster_says_so() {
    let mut etcd = Etcd::new();
    // The answer to the look, or to what makes the cluster, may be lost.
    etcd.fates = VecDeque::from([Fate::Lost, Fate::AnswerLost]);
    assert!(etcd.claim(7).made_cluster);
    assert!(!etcd.claim(8).made_cluster);
    // Two starts at once: the second finds what the first has made in between.
    let mut etcd = Etcd::new();
    let mut claim = Claim::new(layout(), Wanted::Pid(pid(7)), claimant());
    let Step::Call(look) = claim.step(None, &mut || 1) else {
        panic!()
    };
    let empty = etcd.call(look);
    assert!(etcd.claim(8).made_cluster);
    let Step::Call(makes) = claim.step(Some(empty), &mut || 1) else {
        panic!()
    };
    let mut result = Some(etcd.call(makes));
    let tenure = loop {
        match claim.step(result.take(), &mut || 2) {
            Step::Call(call) => result = Some(etcd.call(call)),
            Step::Wait(wait) => etcd.pass(wait),
            Step::Done(done) => break done.unwrap(),
        }
    };
    assert!(!tenure.made_cluster);
}

#[test]
fn a_claim_of_what_exists_makes_no_cluster() {
    let mut etcd = Etcd::new();
    let strict = |wanted| Claim::new(layout(), wanted, claimant()).of_existing(true);
    let root = "/ids/ipseity/".to_owned();
    for wanted in [Wanted::Pid(pid(7)), auto(0, 9)] {
        let none = etcd.run(strict(wanted));
        assert_eq!(none, Err(NoClaim::NoCluster { root: root.clone() }));
    }
    // It has only looked.
    assert_eq!(etcd.store.header().revision, 1);
    etcd.claim(7);
    // A pid may be new where the cluster is not.
    let tenure = etcd.run(strict(Wanted::Pid(pid(8)))).unwrap();
    assert!(tenure.is_first && !tenure.made_cluster);
    // Keys without what they have in common are no first start.
    etcd.store.wipe(&layout().meta());
    let wiped = etcd.run(strict(Wanted::Pid(pid(9))));
    assert_eq!(wiped, Err(NoClaim::Breach(Breach::MetaMissing)));
}

#[test]
fn a_life_begins_above_the_ceiling_of_the_one_before() {
    let mut etcd = Etcd::new();
    let mut tenure = etcd.claim(7);
    let mark = etcd.raise(&tenure, 500).unwrap();
    tenure.note(mark);
    assert_eq!(tenure.ceiling(), sequence(500));
    // It is killed.
    etcd.pass(2 * TTL);
    let next = etcd.claim(7);
    assert_eq!((next.above, next.ceiling()), (sequence(500), sequence(600)));
    assert_eq!((next.state.value.boot, next.is_first), (2, false));
    assert_eq!(next.state.value.incarnation, tenure.state.value.incarnation);
    assert_eq!(next.skipped, 500);
    assert_eq!(
        next.lives(),
        [tenure.state.value.life(), next.state.value.life()]
    );
}

#[test]
fn a_life_begins_above_the_lives_of_all_pids_that_are_over() {
    let mut etcd = Etcd::new();
    // It was killed, after it had raised its ceiling.
    let killed = etcd.claim(1);
    etcd.raise(&killed, 500).unwrap();
    etcd.pass(2 * TTL);
    let next = etcd.claim(2);
    assert_eq!((next.above, next.ceiling()), (sequence(500), sequence(600)));
    // Nothing of this pid was skipped.
    assert_eq!(next.skipped, 0);
    assert!(next.is_first);

    // Of one that may run only what it has handed out counts: otherwise each start would lift all others.
    let mut running = next;
    running.state.value.sequence = sequence(550);
    etcd.raise(&running, 10_000).unwrap();
    let beside = etcd.claim(3);
    assert_eq!(beside.above, sequence(550));

    // It has stopped, so its last sequence is known.
    etcd.run(Stop::new(&beside, sequence(560))).unwrap();
    let next = etcd.claim(4);
    assert_eq!(next.above, sequence(560));
    etcd.run(Stop::new(&next, next.above)).unwrap();

    // One that was driven up to the end does not take the others with it.
    etcd.overwrite(3, |state| {
        (state.sequence, state.ceiling, state.highest) =
            (Sequence::MAX, Sequence::MAX, Sequence::MAX);
    });
    assert_eq!(etcd.claim(5).above, sequence(560));
    assert_eq!(etcd.claim(3).above, Sequence::MAX);
}

#[test]
fn a_clean_stop_skips_nothing_and_frees_the_pid_at_once() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    etcd.run(Stop::new(&tenure, sequence(42))).unwrap();
    let found = etcd.found(7);
    assert!(found.owner.is_absent());
    assert!(found.state.seen().unwrap().value.stopped);
    assert!(etcd.store.leases().is_empty());
    let before = etcd.now;
    let next = etcd.claim(7);
    assert_eq!((next.above, next.skipped), (sequence(42), 0));
    assert_eq!(etcd.now, before);
}

#[test]
fn a_start_waits_for_its_pid_for_one_lease() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    let mut claim = Claim::new(layout(), Wanted::Pid(pid(7)), claimant());
    let Step::Call(look) = claim.step(None, &mut || 1) else {
        panic!("it looks");
    };
    let answer = etcd.store.apply(&look, etcd.now).unwrap();
    assert!(matches!(
        claim.step(Some(Ok(answer)), &mut || 1),
        Step::Wait(_)
    ));
    assert_eq!(
        claim.waiting().unwrap().to_string(),
        "pid 7 is owned by 10.0.0.7:3264"
    );

    // Nobody keeps the lease.
    let next = etcd.claim(7);
    assert!(etcd.now.since(Instant::START) >= TTL);
    assert!(
        matches!(etcd.raise(&tenure, 500), Err(Lost::Fenced { by, .. }) if by == next.state.value.life())
    );

    // Somebody keeps it.
    etcd.store.end(next.lease);
    let owner = Owner {
        session: 5,
        ..next.owner
    };
    etcd.store.put(&layout().owner(pid(7)), &owner.text());
    let error = etcd.try_claim(Wanted::Pid(pid(7))).unwrap_err();
    assert!(matches!(error, NoClaim::Taken { waited, .. } if waited >= TTL));
    assert!(
        error
            .to_string()
            .starts_with("pid 7 is owned by 10.0.0.7:3264, and still was after")
    );
}

#[test]
fn auto_takes_used_pids_before_new_ones() {
    let mut etcd = Etcd::new();
    for number in [3, 5, 9] {
        let tenure = etcd.claim(number);
        etcd.run(Stop::new(&tenure, tenure.above)).unwrap();
    }
    let mut taken: Vec<u16> = (0..4)
        .map(|_| etcd.try_claim(auto(3, 6)).unwrap().pid.get())
        .collect();
    assert!([3, 5].contains(&taken[0]) && [3, 5].contains(&taken[1]));
    taken.sort_unstable();
    assert_eq!(taken, [3, 4, 5, 6]);
    // The leases end while the fifth waits.
    assert!(etcd.try_claim(auto(3, 6)).is_ok());

    let mut full = Etcd::new();
    let owner = Owner {
        session: 1,
        address: claimant().address,
        since: String::new(),
    };
    full.store
        .put(&layout().meta(), &etcd.look().meta.seen().unwrap().text);
    full.store.put(&layout().owner(pid(0)), &owner.text());
    // Somebody has it, or nobody knows what it has handed out.
    full.store.put(&layout().owner(pid(1)), "somebody");
    full.store.put(&layout().state(pid(2)), "something");
    let error = full.try_claim(auto(0, 2)).unwrap_err().to_string();
    assert_eq!(error, "no pid from 0 to 2 is free, and none was after 12 s");
    assert_eq!(full.try_claim(auto(0, 3)).unwrap().pid, pid(3));
}

#[test]
fn a_claim_without_an_answer_is_sent_again_and_done_once() {
    for fate in [Fate::Lost, Fate::AnswerLost] {
        let mut etcd = Etcd::new();
        let before = etcd.claim(7);
        etcd.run(Stop::new(&before, sequence(42))).unwrap();
        etcd.calls.clear();
        // A look and a grant; each of these stands for a call that is well.
        let mut claim = Claim::new(layout(), Wanted::Pid(pid(7)), claimant());
        let mut result = None;
        let tenure = loop {
            match claim.step(result.take(), &mut || etcd.random.u64(..)) {
                Step::Call(call) => {
                    if matches!(call, Call::Txn(_)) && etcd.calls.len() == 2 {
                        etcd.fates.push_back(fate);
                    }
                    result = Some(etcd.call(call));
                }
                Step::Wait(wait) => etcd.pass(wait),
                Step::Done(tenure) => break tenure.unwrap(),
            }
        };
        assert_eq!(etcd.calls.len(), 4);
        assert_eq!(etcd.calls[2], etcd.calls[3]);
        assert_eq!((tenure.state.value.boot, tenure.above), (2, sequence(42)));
        assert_eq!(etcd.found(7).state.seen(), Some(&tenure.state));
    }
}

#[test]
fn an_attempt_that_is_given_up_has_its_lease_revoked_before_the_next() {
    let mut etcd = Etcd::new();
    etcd.claim(3);
    etcd.calls.clear();
    let mut claim = Claim::new(layout(), Wanted::Pid(pid(7)), claimant());
    let mut result = None;
    let mut is_refused = false;
    let tenure = loop {
        match claim.step(result.take(), &mut || etcd.random.u64(..)) {
            Step::Call(call) => {
                if matches!(call, Call::Txn(_)) && !std::mem::replace(&mut is_refused, true) {
                    etcd.fates.push_back(Fate::Refused);
                }
                result = Some(etcd.call(call));
            }
            Step::Wait(wait) => etcd.pass(wait),
            Step::Done(tenure) => break tenure.unwrap(),
        }
    };
    let [
        Call::Range(_),
        Call::Grant { lease, .. },
        Call::Txn(first),
        Call::Revoke(revoked),
        Call::Range(_),
        Call::Grant { lease: next, .. },
        Call::Txn(second),
    ] = &etcd.calls[..]
    else {
        panic!("{:?}", etcd.calls);
    };
    assert_eq!(lease, revoked);
    assert_ne!(lease, next);
    assert_eq!(tenure.lease, *next);
    let [Op::Put { value: one, .. }, _] = &first.then[..] else {
        panic!("a state and an owner");
    };
    let [Op::Put { value: other, .. }, _] = &second.then[..] else {
        panic!("a state and an owner");
    };
    let session = |text: &String| State::read(text).unwrap().session;
    assert_ne!(session(one), session(other));
}

#[test]
fn a_raise_asks_until_it_knows() {
    let mut etcd = Etcd::new();
    let mut tenure = etcd.claim(7);
    etcd.fates = VecDeque::from([
        Fate::Refused,
        Fate::Lost,
        Fate::Lost,
        Fate::AnswerLost,
        Fate::Lost,
    ]);
    let mark = etcd.raise(&tenure, 500).unwrap();
    assert_eq!(mark.state.value.ceiling, sequence(500));
    assert_eq!(etcd.found(7).state.seen(), Some(&mark.state));
    // One that was given up is done later: it changes nothing for the next.
    tenure.note(mark);
    let mark = etcd.raise(&tenure, 700).unwrap();
    let late = etcd.calls.last().unwrap().clone();
    tenure.note(mark);
    etcd.run(Stop::new(&tenure, sequence(600))).unwrap();
    etcd.call(late).unwrap();
    let state = etcd.state(7);
    assert_eq!((state.ceiling, state.stopped), (sequence(600), true));
}

#[test]
fn a_stop_finds_a_raise_that_was_given_up() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    // Its caller never hears of it.
    etcd.raise(&tenure, 500).unwrap();
    etcd.fates = VecDeque::from([Fate::Lost, Fate::AnswerLost]);
    etcd.run(Stop::new(&tenure, sequence(42))).unwrap();
    let state = etcd.state(7);
    assert_eq!((state.ceiling, state.stopped), (sequence(42), true));
}

#[test]
fn a_lease_that_has_ended_is_made_again_as_long_as_the_pid_is_not_taken() {
    let mut etcd = Etcd::new();
    let mut tenure = etcd.claim(7);
    let kept = etcd.run(Keep::new(&tenure)).unwrap();
    let Kept::Confirmed {
        ttl, lease, owners, ..
    } = kept
    else {
        panic!("{kept:?}");
    };
    assert_eq!((ttl, lease), (TTL, tenure.lease));
    assert_eq!(owners, [(pid(7), tenure.owner.clone())]);

    // The raise that comes meanwhile does not disturb it.
    let mark = etcd.raise(&tenure, 500).unwrap();
    etcd.pass(2 * TTL);
    assert!(etcd.found(7).owner.is_absent());
    let kept = etcd.run(Keep::new(&tenure)).unwrap();
    let Kept::Confirmed { lease, .. } = kept else {
        panic!("{kept:?}");
    };
    assert_ne!(lease, tenure.lease);
    assert_eq!(etcd.found(7).owner.seen().unwrap().lease, Some(lease));
    tenure.lease = lease;
    tenure.note(mark);

    // Somebody has put another one by hand.
    etcd.store.put(&layout().owner(pid(7)), "somebody");
    assert!(matches!(
        etcd.run(Keep::new(&tenure)),
        Ok(Kept::Confirmed { .. })
    ));
    assert_eq!(etcd.found(7).owner.seen().unwrap().value, tenure.owner);

    etcd.fates.push_back(Fate::AnswerLost);
    assert!(
        matches!(etcd.run(Keep::new(&tenure)), Ok(Kept::Unknown { lease, .. }) if lease == tenure.lease)
    );

    // Another one has taken it while nobody kept it.
    etcd.pass(2 * TTL);
    let next = etcd.claim(7);
    assert!(matches!(
        etcd.run(Keep::new(&tenure)),
        Err(Lost::Fenced { .. })
    ));
    assert!(matches!(
        etcd.run(Stop::new(&tenure, sequence(42))),
        Err(Lost::Fenced { .. })
    ));
    assert_eq!(etcd.found(7).owner.seen().unwrap().value, next.owner);

    // Nor does it come back after a stop.
    etcd.run(Stop::new(&next, next.above)).unwrap();
    assert_eq!(etcd.run(Keep::new(&next)), Ok(Kept::Stopped));
    assert!(etcd.found(7).owner.is_absent());
}

#[test]
fn a_sign_of_life_counts_only_if_the_leader_of_etcd_has_taken_it() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    let is_renewal = |call: &Call| matches!(call, Call::KeepAlive(_));
    for (elections, renewals, is_confirmed) in [(0, 1, true), (1, 2, true), (1_000, 6, false)] {
        etcd.calls.clear();
        let mut keep = Keep::new(&tenure);
        let (mut result, mut left) = (None, elections);
        let kept = loop {
            match keep.step(result.take(), &mut || 1) {
                Step::Call(call) => {
                    let is_renewed = is_renewal(&call);
                    result = Some(etcd.call(call));
                    // The one who has renewed the lease was the leader no longer.
                    if is_renewed && left > 0 {
                        left -= 1;
                        etcd.store.begin_term(etcd.now);
                    }
                }
                Step::Wait(wait) => etcd.pass(wait),
                Step::Done(kept) => break kept.unwrap(),
            }
        };
        let made = etcd.calls.iter().filter(|call| is_renewal(call)).count();
        assert_eq!(made, renewals, "{elections}: {kept:?}");
        match kept {
            Kept::Confirmed { lease, .. } => {
                assert!(is_confirmed);
                assert_eq!(lease, tenure.lease);
            }
            Kept::Unknown { lease, error, .. } => {
                assert!(!is_confirmed && error.to_string().contains("another leader"));
                assert_eq!(lease, tenure.lease);
            }
            Kept::Stopped => panic!("it runs"),
        }
    }
}

#[test]
fn a_life_that_is_forgotten_counts_with_its_ceiling() {
    let mut etcd = Etcd::new();
    let first = etcd.claim(7);
    let mark = etcd.raise(&first, 10_000).unwrap();
    let mut lives = vec![mark.state.value.life()];
    etcd.run(Stop::new(
        &Tenure {
            state: mark.state,
            ..first
        },
        sequence(9),
    ))
    .unwrap();
    // As though the stop had noted less than the peers were told.
    let session = lives[0].session;
    for boot in 2..=LIVES_MAX as u64 + 2 {
        let tenure = etcd.claim(7);
        let known = tenure.lives();
        assert!(known.len() <= LIVES_MAX + 1);
        assert_eq!(known.last().unwrap().boot, boot);
        if boot == 2 {
            // The list says that the first life had a higher ceiling.
            etcd.overwrite(7, |state| state.lives[0].ceiling = sequence(10_000));
            let state = etcd.found(7).state.seen().unwrap().clone();
            lives.push(state.value.life());
            etcd.run(Stop::new(&Tenure { state, ..tenure }, sequence(20)))
                .unwrap();
            continue;
        }
        let knows_first = known.iter().any(|life| life.session == session);
        assert_eq!(
            tenure.above >= sequence(10_000),
            !knows_first,
            "boot {boot}"
        );
        etcd.run(Stop::new(&tenure, tenure.above)).unwrap();
    }
    assert!(etcd.state(7).ceiling >= sequence(10_000));
}

fn imported() -> Imported {
    Imported {
        pid: pid(7),
        incarnation: 0xd15c,
        lives: (1..=12)
            .map(|boot| Life {
                boot,
                session: 100 + boot,
                ceiling: sequence(boot * 10),
            })
            .collect(),
        sequence: sequence(115),
        ceiling: sequence(120),
        stopped: false,
    }
}

#[test]
fn a_pid_comes_from_a_directory_once() {
    let mut etcd = Etcd::new();
    etcd.fates = VecDeque::from([Fate::Lost, Fate::AnswerLost]);
    let state = etcd.run(Import::new(layout(), imported())).unwrap();
    assert_eq!(state.lives.len(), LIVES_MAX);
    assert_eq!((state.boot, state.session), (12, 112));
    assert_eq!(etcd.state(7), state);
    // Whoever is not sure asks again.
    assert_eq!(etcd.run(Import::new(layout(), imported())), Ok(state));

    let tenure = etcd.claim(7);
    assert_eq!(tenure.above, sequence(120));
    assert_eq!(tenure.state.value.incarnation, 0xd15c);
    assert_eq!((tenure.state.value.boot, tenure.is_first), (13, false));
    let error = etcd.run(Import::new(layout(), imported())).unwrap_err();
    assert_eq!(error, NoImport::There { pid: pid(7) });

    let never_started = Imported {
        lives: Vec::new(),
        ..imported()
    };
    assert_eq!(
        Etcd::new().run(Import::new(layout(), never_started)),
        Err(NoImport::Empty)
    );
}

#[test]
fn after_an_operators_word_all_pids_begin_above_it() {
    let mut etcd = Etcd::new();
    let stale = etcd.claim(7);
    etcd.fates = VecDeque::from([Fate::Refused, Fate::AnswerLost]);
    let raised = etcd.run(Epoch::new(layout(), sequence(5_000))).unwrap();
    assert_eq!((raised.meta.epoch, raised.is_new), (2, false));
    // The lives before may write nothing more.
    for lost in [
        etcd.raise(&stale, 500).map(drop),
        etcd.run(Keep::new(&stale)).map(drop),
        etcd.run(Stop::new(&stale, sequence(1))),
    ] {
        assert_eq!(
            lost,
            Err(Lost::Breach(Breach::OtherEpoch { was: 1, is: 2 }))
        );
    }
    etcd.pass(2 * TTL);
    let next = etcd.claim(7);
    assert_eq!(next.above, sequence(5_000));
    assert_eq!(next.state.value.boot, 2 + (1 << 20));
    assert_eq!(next.lives(), [next.state.value.life()]);
    // Even those that the backup knows nothing of.
    assert_eq!(etcd.claim(8).above, sequence(5_000));
    // In the same epoch all is as ever.
    etcd.run(Stop::new(&next, sequence(5_050))).unwrap();
    assert_eq!(etcd.claim(7).state.value.boot, 3 + (1 << 20));
}

/// Epochs and boots are counted in etcd, so a backup that is restored again counts them again. Sessions are drawn: a life of
/// the time between the two restores finds another one, even if the operator has said the same both times.
#[test]
fn a_backup_that_is_restored_twice_repeats_epochs_and_boots_but_no_session() {
    for second_word in [500, 900] {
        let mut etcd = Etcd::new();
        etcd.claim(7);
        let backup = etcd.store.clone();
        let restore = |etcd: &mut Etcd, above| {
            etcd.store = backup.clone();
            etcd.pass(2 * TTL);
            let raised = etcd.run(Epoch::new(layout(), sequence(above))).unwrap();
            raised.meta.epoch
        };
        assert_eq!(restore(&mut etcd, 500), 2);
        let between = etcd.claim(7);
        assert_eq!(restore(&mut etcd, second_word), 2);
        let after = etcd.claim(7);
        assert!(after.above.get() >= second_word);
        let (one, other) = (&between.state.value, &after.state.value);
        assert_eq!((one.epoch, one.boot), (other.epoch, other.boot));
        assert_ne!(one.session, other.session);
        etcd.come_as_far();
        for lost in [
            etcd.raise(&between, 5_000).map(drop),
            etcd.run(Keep::new(&between)).map(drop),
            etcd.run(Stop::new(&between, between.above)),
        ] {
            let (pid, was, is) = (pid(7), one.boot, other.boot);
            assert_eq!(lost, Err(Lost::Breach(Breach::OlderLife { pid, was, is })));
        }
        // An operator who has seen that the epoch was there before raises it again, and boots are higher than ever.
        let raised = etcd.run(Epoch::new(layout(), sequence(0))).unwrap();
        assert_eq!(
            (raised.meta.epoch, raised.meta.above.get()),
            (3, second_word)
        );
        etcd.pass(2 * TTL);
        assert!(etcd.claim(7).state.value.boot > one.boot + (1 << 19));
    }
}

#[test]
fn a_store_that_was_restored_is_used_only_after_an_operators_word() {
    let mut etcd = Etcd::new();
    let tenure = etcd.claim(7);
    let mut backup = etcd.store.clone();
    backup.cluster_id = ETCD + 1;
    etcd.raise(&tenure, 500).unwrap();
    etcd.store = backup;
    etcd.pass(2 * TTL);
    let other = Breach::OtherEtcd {
        was: ETCD,
        is: ETCD + 1,
    };
    assert_eq!(
        etcd.try_claim(Wanted::Pid(pid(7))),
        Err(NoClaim::Breach(other.clone()))
    );
    assert_eq!(
        etcd.run(Import::new(layout(), imported())),
        Err(NoImport::Breach(other.clone()))
    );
    assert_eq!(etcd.raise(&tenure, 500), Err(Lost::Breach(other)));
    etcd.run(Epoch::new(layout(), sequence(500))).unwrap();
    assert_eq!(etcd.claim(7).above, sequence(500));
}

/// It is seen that a store was put back by what was read before, even if the sign of life that has read it came to nothing.
#[test]
fn what_a_sign_of_life_has_seen_counts_though_it_came_to_nothing() {
    let mut etcd = Etcd::new();
    let mut tenure = etcd.claim(7);
    let backup = etcd.store.clone();
    // The lease has ended, and the answer is lost when the owner is put again.
    etcd.store.end(tenure.lease);
    let mut keep = Keep::new(&tenure);
    let mut result = None;
    let kept = loop {
        match keep.step(result.take(), &mut || 5) {
            Step::Call(call) => {
                if matches!(call, Call::Txn(_)) {
                    etcd.fates.push_back(Fate::Lost);
                }
                result = Some(etcd.call(call));
            }
            Step::Wait(wait) => etcd.pass(wait),
            Step::Done(kept) => break kept.unwrap(),
        }
    };
    let Kept::Unknown { lease, watch, .. } = kept else {
        panic!("{kept:?}")
    };
    let seen = etcd.store.header().revision;
    assert_eq!(watch.revision, seen);
    tenure.kept(lease, &watch);
    etcd.store = backup;
    let is = etcd.store.header().revision;
    assert_eq!(
        etcd.run(Keep::new(&tenure)),
        Err(Lost::Breach(Breach::RevisionFell { was: seen, is }))
    );
}

#[test]
fn a_life_sees_that_its_store_was_put_back() {
    let lost = |etcd: &mut Etcd, tenure: &Tenure| {
        let raise = etcd.raise(tenure, 900).map(drop).unwrap_err();
        let keep = etcd.run(Keep::new(tenure)).map(drop).unwrap_err();
        assert_eq!(raise, keep);
        match raise {
            Lost::Breach(breach) => breach,
            Lost::Fenced { .. } => panic!("{raise}"),
        }
    };
    let fresh = || {
        let mut etcd = Etcd::new();
        let mut tenure = etcd.claim(7);
        let backup = etcd.store.clone();
        let mark = etcd.raise(&tenure, 500).unwrap();
        tenure.note(mark);
        (etcd, tenure, backup)
    };

    let (mut etcd, tenure, backup) = fresh();
    etcd.store = backup;
    assert!(matches!(
        lost(&mut etcd, &tenure),
        Breach::RevisionFell { .. }
    ));
    etcd.come_as_far();
    assert_eq!(
        lost(&mut etcd, &tenure),
        Breach::StateFell {
            pid: pid(7),
            was: sequence(500),
            is: sequence(STEP),
        }
    );

    // The life before is there again, and the revision has come as far.
    let mut etcd = Etcd::new();
    etcd.claim(7);
    let backup = etcd.store.clone();
    etcd.store.wipe(&layout().owner(pid(7)));
    let tenure = etcd.claim(7);
    etcd.store = backup;
    etcd.come_as_far();
    assert_eq!(
        lost(&mut etcd, &tenure),
        Breach::OlderLife {
            pid: pid(7),
            was: 2,
            is: 1,
        }
    );

    let (mut etcd, tenure, _) = fresh();
    etcd.store.wipe(&layout().state(pid(7)));
    assert_eq!(lost(&mut etcd, &tenure), Breach::StateGone { pid: pid(7) });
    assert!(etcd.try_claim(Wanted::Pid(pid(8))).is_ok());

    let (mut etcd, tenure, _) = fresh();
    etcd.store.wipe(&layout().meta());
    assert_eq!(lost(&mut etcd, &tenure), Breach::MetaMissing);
    assert_eq!(
        etcd.try_claim(Wanted::Pid(pid(8))),
        Err(NoClaim::Breach(Breach::MetaMissing))
    );

    let (mut etcd, tenure, _) = fresh();
    etcd.store.put(&layout().state(pid(7)), "{}");
    assert!(matches!(
        lost(&mut etcd, &tenure),
        Breach::StateUnreadable(_)
    ));
    let error = etcd.try_claim(Wanted::Pid(pid(7))).unwrap_err().to_string();
    assert!(error.contains("/ids/ipseity/pid/0007/state"), "{error}");

    // Somebody has written that it stopped. Taken for its own, that would lower its ceiling.
    let (mut etcd, tenure, _) = fresh();
    let mut stopped = tenure.state.value.clone();
    (stopped.stopped, stopped.ceiling) = (true, stopped.sequence);
    etcd.store.put(&layout().state(pid(7)), &stopped.text());
    assert_eq!(
        etcd.raise(&tenure, 600),
        Err(Lost::Breach(Breach::GivenBack { pid: pid(7) }))
    );

    // Everything was lost, and somebody has begun anew.
    let (mut etcd, tenure, _) = fresh();
    etcd.store.wipe("/ids");
    etcd.claim(7);
    assert!(matches!(
        lost(&mut etcd, &tenure),
        Breach::OtherCluster { .. }
    ));
}
