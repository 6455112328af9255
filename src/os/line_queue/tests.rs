//! A queue in front of a stream that does what the test says, write by write.

use std::sync::mpsc::{self, Receiver, Sender};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const NO_TIME: Duration = Duration::from_millis(1);

const BOUNDS: Bounds = Bounds {
    lines: 4,
    bytes: 100,
};

/// What a write does: it takes at most this many bytes, or fails.
type Answer = io::Result<usize>;

/// A call of the sink.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Write(String),
    Reopen,
    Failed(io::ErrorKind),
}

/// A stream that waits in each write until the test answers.
struct Scripted {
    answers: Receiver<Answer>,
    calls: Sender<Call>,
}

impl Scripted {
    fn note(&self, call: Call) {
        // Nobody listens any more when the test has ended.
        let _ = self.calls.send(call);
    }
}

impl Sink for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.note(Call::Write(String::from_utf8_lossy(bytes).into_owned()));
        match self.answers.recv() {
            Ok(answer) => answer.map(|most| most.min(bytes.len())),
            Err(_) => Ok(bytes.len()),
        }
    }

    fn reopen(&mut self, _is_told: bool) {
        self.note(Call::Reopen);
    }

    fn failed(&mut self, error: &io::Error) {
        self.note(Call::Failed(error.kind()));
    }

    fn missing(&self, lines: u64) -> String {
        format!("missing {lines}\n")
    }
}

struct Scene {
    queue: LineQueue,
    answers: Sender<Answer>,
    calls: Receiver<Call>,
}

impl Scene {
    fn new(cut: bool) -> Scene {
        let (answers, script) = mpsc::channel();
        let (notes, calls) = mpsc::channel();
        let sink = Scripted {
            answers: script,
            calls: notes,
        };
        Scene {
            queue: LineQueue::begin("test", BOUNDS, sink, cut).unwrap(),
            answers,
            calls,
        }
    }

    fn put(&self, line: &str) {
        self.queue.push(format!("{line}\n").as_bytes());
        self.queue.wake();
    }

    fn call(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).unwrap()
    }

    fn assert_writes(&self, text: &str) {
        assert_eq!(self.call(), Call::Write(text.to_owned()));
    }

    fn answer(&self, answer: Answer) {
        self.answers.send(answer).unwrap();
    }

    fn is_finished(&self) -> bool {
        self.queue.finish(PATIENCE);
        self.queue.shared.lock().is_idle
    }
}

fn full() -> Answer {
    Err(io::ErrorKind::StorageFull.into())
}

#[test]
fn lines_are_written_in_order_even_if_writes_are_cut_short() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    // These two wait, and are then written together.
    scene.put("two");
    scene.put("three");
    scene.answer(Ok(2));
    scene.assert_writes("e\n");
    scene.answer(Err(io::ErrorKind::Interrupted.into()));
    scene.assert_writes("e\n");
    scene.answer(Ok(100));
    scene.assert_writes("two\nthree\n");
    scene.answer(Ok(100));
    assert!(scene.is_finished());
    assert_eq!(scene.queue.dropped(), 0);
}

#[test]
fn callers_do_not_wait_for_a_stream_that_hangs() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    for _ in 0..1000 {
        scene.put("more");
    }
    assert_eq!(scene.queue.dropped(), 1000 - BOUNDS.lines as u64);
    scene.queue.finish(NO_TIME);
    assert!(!scene.queue.shared.lock().is_idle);
}

#[test]
fn lines_that_find_no_room_are_counted_and_reported_in_their_place() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    // Six lines come, and there is room for four.
    for number in 2..8 {
        scene.put(&number.to_string());
    }
    assert_eq!(scene.queue.dropped(), 2);
    scene.answer(Ok(100));
    scene.assert_writes("2\n3\n4\n5\n");
    // There is room again before the missing lines are reported.
    scene.put("8");
    scene.answer(Ok(100));
    scene.assert_writes("missing 2\n");
    scene.answer(Ok(100));
    scene.assert_writes("8\n");
    scene.answer(Ok(100));
    assert!(scene.is_finished());
    assert_eq!(scene.queue.dropped(), 2);
}

#[test]
fn bytes_have_a_bound_too_and_no_line_passes_one_that_was_dropped() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    scene.put(&"x".repeat(BOUNDS.bytes - 1));
    scene.put(&"y".repeat(BOUNDS.bytes));
    scene.put("short");
    assert_eq!(scene.queue.dropped(), 2);
    scene.answer(Ok(100));
    scene.assert_writes(&format!("{}\n", "x".repeat(BOUNDS.bytes - 1)));
    scene.answer(Ok(100));
    scene.assert_writes("missing 2\n");
}

#[test]
fn lines_that_could_not_be_written_are_counted_and_reported_later() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    scene.answer(full());
    assert_eq!(scene.call(), Call::Failed(io::ErrorKind::StorageFull));
    // The first line is now reported as missing. That fails too, and then the second line is missing as well.
    scene.put("two");
    scene.assert_writes("missing 1\n");
    scene.answer(full());
    assert_eq!(scene.call(), Call::Failed(io::ErrorKind::StorageFull));
    assert!(scene.is_finished());
    assert_eq!(scene.queue.dropped(), 2);
    scene.put("three");
    scene.assert_writes("missing 2\n");
    scene.answer(Ok(100));
    scene.assert_writes("three\n");
    scene.answer(Ok(100));
    assert!(scene.is_finished());
    assert_eq!(scene.queue.dropped(), 2);
}

#[test]
fn a_line_that_was_cut_counts_as_missing_and_the_next_one_starts_on_a_new_line() {
    let scene = Scene::new(false);
    scene.put("one");
    scene.assert_writes("one\n");
    scene.put("two");
    scene.put("three");
    scene.answer(Ok(100));
    scene.assert_writes("two\nthree\n");
    // All of "two", and the beginning of "three".
    scene.answer(Ok(6));
    scene.assert_writes("ree\n");
    scene.answer(full());
    assert_eq!(scene.call(), Call::Failed(io::ErrorKind::StorageFull));
    scene.put("four");
    scene.assert_writes("\nmissing 1\n");
    scene.answer(Ok(100));
    scene.assert_writes("four\n");
    assert_eq!(scene.queue.dropped(), 1);
}

#[test]
fn a_stream_that_ends_inside_a_line_gets_a_newline_first() {
    let scene = Scene::new(true);
    scene.put("one");
    scene.assert_writes("\n");
    scene.answer(Ok(100));
    scene.assert_writes("one\n");
}

#[test]
fn waiting_lines_go_into_the_stream_that_was_opened_again() {
    let scene = Scene::new(false);
    scene.queue.reopen(true);
    assert_eq!(scene.call(), Call::Reopen);
    scene.put("one");
    scene.assert_writes("one\n");
    scene.put("two");
    scene.queue.reopen(true);
    scene.answer(Ok(100));
    assert_eq!(scene.call(), Call::Reopen);
    scene.assert_writes("two\n");
    scene.answer(Ok(100));
    assert!(scene.is_finished());
}
