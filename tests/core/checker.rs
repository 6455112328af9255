//! The checker of histories gets histories that break each promise. A checker that never finds anything is worth
//! nothing.

use ipseity_sim::checker::{
    Answer, BrokenPromise, Clock, check,
    report::{RunReport, Tally},
};

/// An answer of server 1 to client 1: `count` identities from `sequence` on.
fn answer(sequence: u64, count: u32, begun: u64, ended: u64) -> Answer {
    Answer {
        server: 1,
        life: None,
        client: 1,
        begun,
        ended,
        after: 0,
        first: sequence << 10 | 1,
        count,
    }
}

/// The same answer, from another server to another client.
fn of(server: u16, client: u32, answer: Answer) -> Answer {
    Answer {
        server,
        client,
        first: answer.first & !1023 | u64::from(server),
        ..answer
    }
}

#[test]
fn a_history_that_keeps_every_promise_is_accepted_and_counted() {
    let history = [
        answer(1, 10, 0, 3),
        // At the same time as the first, so either may be the greater one.
        of(1, 2, answer(11, 5, 1, 2)),
        of(2, 2, answer(1, 7, 4, 5)),
        Answer {
            after: 10 << 10 | 1,
            life: Some(1),
            ..answer(16, 1, 6, 7)
        },
        Answer {
            life: Some(2),
            ..answer(1040, 1, 8, 9)
        },
    ];
    for turned in [history.to_vec(), history.iter().rev().copied().collect()] {
        let summary = check(&turned).unwrap();
        assert_eq!((summary.answers, summary.identities), (5, 24));
        assert_eq!(summary.servers, [(1, 4), (2, 1)].into());
        assert_eq!(summary.lives, 2);
    }
    assert_eq!(check(&[]).unwrap().answers, 0);
}

#[test]
fn an_identity_handed_out_twice_is_found() {
    // Each began before the other had ended, so only the identities themselves show it.
    for (first, second) in [
        (answer(5, 1, 0, 9), answer(5, 1, 1, 8)),
        (answer(5, 10, 0, 9), answer(14, 1, 1, 8)),
        (answer(5, 10, 0, 9), answer(7, 2, 1, 8)),
        (answer(5, 10, 0, 9), answer(1, 5, 1, 8)),
    ] {
        let second = of(1, 2, second);
        for history in [[first, second], [second, first]] {
            assert!(
                matches!(check(&history), Err(BrokenPromise::Repeated(..))),
                "{history:?}"
            );
        }
    }
    // Blocks that touch do not overlap, nor do equal sequences of two pids.
    check(&[answer(5, 10, 0, 9), answer(15, 1, 1, 8)]).unwrap();
    check(&[answer(5, 10, 0, 9), of(2, 1, answer(5, 10, 1, 8))]).unwrap();
}

#[test]
fn a_server_that_goes_back_is_found_across_clients() {
    let (greater, less) = (answer(100, 1, 0, 1), of(1, 2, answer(99, 1, 2, 3)));
    assert_eq!(
        check(&[less, greater]),
        Err(BrokenPromise::Decreasing(greater, less))
    );
    // A third answer in between hides nothing.
    let between = of(1, 3, answer(50, 1, 0, 9));
    assert_eq!(
        check(&[greater, between, less]),
        Err(BrokenPromise::Decreasing(greater, less))
    );
    // They overlap in time: either order is right.
    check(&[
        Answer {
            ended: 2,
            ..greater
        },
        less,
    ])
    .unwrap();
}

#[test]
fn a_life_that_begins_below_the_one_before_it_is_found() {
    // A reply of the first life that arrived late overlaps the second in time, and still counts.
    let first = Answer {
        life: Some(1),
        ..answer(100, 10, 0, 9)
    };
    let second = Answer {
        life: Some(2),
        ..of(1, 2, answer(90, 1, 1, 8))
    };
    assert_eq!(
        check(&[second, first]),
        Err(BrokenPromise::EarlierLife(first, second))
    );
    check(&[
        Answer {
            life: Some(1),
            ..second
        },
        first,
    ])
    .unwrap();
}

#[test]
fn an_answer_that_does_not_exceed_its_after_is_found() {
    let asked = Answer {
        after: 7 << 10 | 900,
        ..answer(7, 1, 0, 1)
    };
    assert_eq!(check(&[asked]), Err(BrokenPromise::NotAfter(asked)));
    check(&[Answer {
        after: 7 << 10,
        ..asked
    }])
    .unwrap();
}

#[test]
fn a_client_that_sends_after_and_goes_back_is_found() {
    let from_one = answer(100, 10, 0, 1);
    let from_two = Answer {
        after: 1,
        ..of(2, 1, answer(105, 1, 2, 3))
    };
    assert_eq!(
        check(&[from_one, from_two]),
        Err(BrokenPromise::ClientDecreasing(from_one, from_two))
    );
    // Without `after` two servers owe each other nothing.
    check(&[
        from_one,
        Answer {
            after: 0,
            ..from_two
        },
    ])
    .unwrap();
}

#[test]
fn an_impossible_block_or_a_foreign_pid_is_found() {
    for broken in [
        answer(5, 0, 0, 1),
        answer(0, 1, 0, 1),
        answer((1 << 53) - 1, 2, 0, 1),
        Answer {
            first: u64::MAX,
            ..answer(5, 1, 0, 1)
        },
    ] {
        assert_eq!(check(&[broken]), Err(BrokenPromise::NoBlock(broken)));
    }
    let foreign = Answer {
        server: 2,
        ..answer(5, 1, 0, 1)
    };
    assert_eq!(check(&[foreign]), Err(BrokenPromise::ForeignPid(foreign)));
}

#[test]
fn every_fault_shows_the_answers_that_prove_it() {
    let (a, b) = (answer(5, 1, 0, 1), answer(5, 1, 2, 3));
    let said = check(&[a, b]).unwrap_err().to_string();
    assert!(said.starts_with("handed out twice:"), "{said}");
    assert_eq!(said.matches("first: 5121").count(), 2, "{said}");
}

#[test]
fn a_report_counts_the_duplicates_that_check_only_finds() {
    // Sequences 5 to 14 twice, 8 and 9 of them three times, and two answers that overlap with none.
    let history = [
        answer(5, 10, 0, 1),
        answer(1, 14, 2, 3),
        answer(8, 2, 4, 5),
        answer(15, 1, 6, 7),
        of(2, 2, answer(5, 10, 8, 9)),
    ];
    let tally = Tally {
        attempted: 9,
        acknowledged: 5,
        refused: 1,
        unanswered: 3,
    };
    let report = RunReport::on(&history, tally);
    assert!(!report.is_valid());
    assert_eq!((report.identities, report.duplicated), (37, 10));
    let of_each: Vec<usize> = report.duplicates.values().copied().collect();
    assert_eq!(of_each, [2, 2, 2, 3, 3, 2, 2, 2, 2, 2]);
    assert_eq!(report.duplicates.first_key_value(), Some((&5121, &2)));
    assert_eq!(report.range, Some((1025, 15 << 10 | 1)));
    let said = report.to_string();
    for line in [
        "valid?              false\n",
        "attempted-count     9 requests (1 refused, 3 without an answer)\n",
        "acknowledged-count  5 requests, 37 identities\n",
        "duplicated-count    10\n",
        "range               [1025 15361]\n",
        "fault               handed out twice:\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn a_report_on_a_good_history_says_so() {
    let after = Answer {
        after: 5 << 10 | 1,
        ..answer(6, 2, 2, 3)
    };
    let tally = Tally {
        attempted: 2,
        acknowledged: 2,
        ..Tally::default()
    };
    let report = RunReport::on(&[after, answer(5, 1, 0, 1)], tally);
    assert!(report.is_valid());
    assert_eq!((report.duplicated, report.answers_after), (0, 1));
    let said = report.to_string();
    assert!(said.starts_with("valid?              true\n"), "{said}");
    assert!(said.contains("\ncausality           kept by 1 "), "{said}");
    let nothing = RunReport::on(&[], Tally::default()).to_string();
    assert!(nothing.contains("nothing was handed out"), "{nothing}");
}

#[test]
#[should_panic(expected = "requests were lost from the count")]
fn a_request_missing_from_the_count_is_noticed() {
    let tally = Tally {
        attempted: 3,
        acknowledged: 1,
        refused: 0,
        unanswered: 1,
    };
    RunReport::on(&[answer(5, 1, 0, 1)], tally);
}

#[test]
fn ticks_of_the_clock_are_never_equal() {
    let clock = Clock::default();
    assert!(clock.tick() < clock.tick());
}
