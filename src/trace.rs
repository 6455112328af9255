//! The trace: a line for each entry that is taken out of the mailbox, and below it a line for each effect.
//! It shows what a run did; docs/architecture.md says how to read it.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
};

use ipseity_core::{actor::Effect, time::Instant};

use crate::mailbox::Entry;

/// Writes the trace of one run.
pub struct Trace {
    out: Box<dyn Write>,
    /// The line that is being made. Its memory is reused.
    line: String,
    serial: u64,
    now: Instant,
    /// The first error since the last flush. Its line was lost.
    failed: Option<io::Error>,
}

impl Trace {
    /// A trace that is written to `out`, a whole line at a time. It is flushed once a turn. The loop's thread writes
    /// it, so `out` must never wait.
    pub fn new(out: Box<dyn Write>) -> Trace {
        Trace {
            out,
            line: String::new(),
            serial: 0,
            now: Instant::START,
            failed: None,
        }
    }

    /// Writes the entry that is about to be handled.
    #[cold]
    pub fn entry(&mut self, now: Instant, entry: &Entry) {
        self.serial += 1;
        self.now = now;
        self.line(format_args!("{entry}"));
    }

    /// Writes an effect of the entry that was written last.
    #[cold]
    pub fn effect(&mut self, effect: &Effect) {
        self.line(format_args!("> {effect}"));
    }

    /// Flushes what was written.
    ///
    /// # Errors
    /// A line could not be written since the last call. The trace has a gap and should be given up.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    fn line(&mut self, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing into a text cannot fail.
        let _ = writeln!(self.line, "{} {} {what}", self.serial, self.now);
        if let Err(error) = self.out.write_all(self.line.as_bytes()) {
            self.failed.get_or_insert(error);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;
    use ipseity_core::ids::ConnectionId;

    use crate::mailbox::Readiness;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn effects_carry_the_serial_of_their_entry() {
        let out = Shared::default();
        let mut trace = Trace::new(Box::new(out.clone()));
        let connection = ConnectionId::new(0, 1);
        let entry = Entry::Ready {
            connection,
            readiness: Readiness::READABLE,
        };
        trace.entry(Instant::from_nanos(1_000_000_005), &entry);
        trace.entry(Instant::from_nanos(1_000_000_005), &Entry::Signal);
        trace.effect(&Effect::StopTicker);
        trace.flush().unwrap();
        let text = String::from_utf8(out.0.borrow().clone()).unwrap();
        assert_eq!(
            text,
            "1 1.000000005 readable connection=0.1\n\
             2 1.000000005 signal\n\
             2 1.000000005 > stopTicker\n"
        );
    }

    #[test]
    fn a_lost_line_is_reported_once() {
        let mut trace = Trace::new(Box::new(Full));
        trace.entry(Instant::START, &Entry::Signal);
        assert_eq!(
            trace.flush().unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        trace.flush().unwrap();
    }
}
