//! Doing the same with several servers at once, so that all of them together take no longer than the slowest.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

/// The most servers that are asked at once. Each takes a thread and a few descriptors, and a process may have 1,024
/// descriptors on most systems. Servers beyond this have to wait until an earlier one has answered.
const ASKED_AT_ONCE_MAX: usize = 256;

/// Asks all servers at once and shows what came of each in their order, as soon as it and all before it have answered.
/// It ends early if `show` fails.
pub fn at_once<S: Send, T: Send, E>(
    servers: &mut [S],
    ask: impl Fn(&mut S) -> T + Sync,
    mut show: impl FnMut(&mut S, T) -> Result<(), E>,
) -> Result<(), E> {
    if let [server] = servers {
        let answer = ask(server);
        return show(server, answer);
    }
    let threads = servers.len().min(ASKED_AT_ONCE_MAX);
    let (tasks, answers): (Vec<_>, Vec<_>) = servers
        .iter_mut()
        .map(|server| {
            let (sender, receiver) = mpsc::channel();
            ((server, sender), receiver)
        })
        .unzip();
    let tasks = Mutex::new(tasks.into_iter());
    let work = || {
        loop {
            // The lock is released before the server is asked.
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((server, sender)) = task else { return };
            let answer = ask(server);
            // Nobody waits for it if an earlier one could not be shown.
            let _ = sender.send((server, answer));
        }
    };
    thread::scope(|scope| {
        let started = (0..threads)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .count();
        if started == 0 {
            // The system has no thread for us, so they are asked one after the other.
            work();
        }
        // An answer is missing only if its thread has panicked. The scope then panics too.
        answers
            .into_iter()
            .filter_map(|answer| answer.recv().ok())
            .try_for_each(|(server, answer)| show(server, answer))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Asks, and returns what was shown.
    fn ask_all(mut servers: Vec<usize>, ask: impl Fn(usize) -> usize + Sync) -> Vec<usize> {
        let mut shown = Vec::new();
        let result: Result<(), ()> = at_once(
            &mut servers,
            |server| ask(*server),
            |_, answer| {
                shown.push(answer);
                Ok(())
            },
        );
        result.unwrap();
        shown
    }

    #[test]
    fn all_are_asked_at_once_and_shown_in_their_order() {
        // Nobody answers before all have been asked, and the first is the last to answer.
        let all_are_asked = Barrier::new(3);
        let answered = AtomicUsize::new(0);
        let shown = ask_all(vec![0, 1, 2], |server| {
            all_are_asked.wait();
            while answered.load(Ordering::SeqCst) < 2 - server {
                thread::yield_now();
            }
            answered.fetch_add(1, Ordering::SeqCst);
            server
        });
        assert_eq!(shown, [0, 1, 2]);
        assert!(ask_all(Vec::new(), |server| server).is_empty());
    }

    #[test]
    fn more_servers_than_threads_wait_for_their_turn() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let servers: Vec<usize> = (0..2 * ASKED_AT_ONCE_MAX + 1).collect();
        let shown = ask_all(servers.clone(), |server| {
            let asked = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(asked, Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            server
        });
        assert_eq!(shown, servers);
        assert!(most.load(Ordering::SeqCst) <= ASKED_AT_ONCE_MAX);
    }

    #[test]
    fn nothing_is_shown_after_a_failure() {
        let mut shown = 0;
        let result = at_once(
            &mut [1, 2, 3],
            |server| *server,
            |_, answer| {
                shown += 1;
                if answer == 2 { Err("closed") } else { Ok(()) }
            },
        );
        assert_eq!((result, shown), (Err("closed"), 2));
    }
}
