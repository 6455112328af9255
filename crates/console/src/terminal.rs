//! A terminal: how large it is, and keys that count as soon as they are pressed.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a signal goes unnoticed that comes just before the wait for a key.
const SLICE: Duration = Duration::from_millis(200);

/// How many lines the window of standard output has; `None` if it is no terminal, or does not say.
pub fn window_lines() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|lines| *lines > 0)
}

/// The keyboard of a terminal, each key of which counts at once and is not shown. Dropping it makes the terminal as it was.
#[derive(Debug)]
pub struct Keyboard {
    before: Termios,
    is_over: Arc<AtomicBool>,
}

/// What came of waiting for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// This key was pressed.
    Pressed(u8),
    /// The time is over, and none was pressed.
    None,
    /// Somebody asks the program to end: Ctrl-C, a signal, or the terminal has gone.
    Over,
}

impl Keyboard {
    /// Takes the keyboard, if standard input is a terminal. From then on SIGINT, SIGTERM and SIGHUP end the wait for a key
    /// instead of the process, so that the terminal can be made as it was.
    pub fn take() -> Option<Keyboard> {
        let before = tcgetattr(io::stdin()).ok()?;
        let is_over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, is_over.clone()).ok()?;
        }
        let mut plain = before.clone();
        plain.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &plain).ok()?;
        Some(Keyboard { before, is_over })
    }

    /// Waits for a key, for at most this long.
    pub fn wait(&self, time: Duration) -> Key {
        let mut left = time;
        loop {
            if self.is_over.load(Ordering::Acquire) {
                return Key::Over;
            }
            let slice = left.min(SLICE);
            let stdin = io::stdin();
            let mut waited = [PollFd::new(&stdin, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(slice.subsec_nanos()),
            };
            match poll(&mut waited, Some(&timeout)) {
                // A signal; the next turn looks at it. One that does not count takes a part of the time.
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.read(),
                Err(_) => return Key::Over,
            }
            left -= slice;
            if left.is_zero() {
                return match self.is_over.load(Ordering::Acquire) {
                    true => Key::Over,
                    false => Key::None,
                };
            }
        }
    }

    fn read(&self) -> Key {
        let mut key = [0];
        match rustix::io::read(io::stdin(), &mut key) {
            Ok(1) => Key::Pressed(key[0]),
            Err(rustix::io::Errno::INTR) => Key::None,
            _ => Key::Over,
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // If the terminal has gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
