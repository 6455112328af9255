//! A wake-up for the loop that is exact to less than a millisecond, which a poll's own timeout is not.

use std::{io, time::Duration};

use mio::{Interest, Poll, Token};

#[cfg(target_os = "linux")]
mod timer {
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use mio::unix::SourceFd;
    use rustix::{
        io::Errno,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        },
    };

    use super::*;

    /// A timer of the kernel, exact to less than a millisecond.
    pub struct Alarm(OwnedFd);

    impl Alarm {
        pub fn new(poll: &Poll, token: Token) -> io::Result<Alarm> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            poll.registry().register(
                &mut SourceFd(&timer.as_raw_fd()),
                token,
                Interest::READABLE,
            )?;
            Ok(Alarm(timer))
        }

        pub fn set(&self, wait: Duration) -> io::Result<()> {
            let zero = Timespec::default();
            // A timer that is set to zero is stopped.
            let wait = wait.max(Duration::from_nanos(1));
            let value = Timespec::try_from(wait).map_err(|_| io::Error::from(Errno::INVAL))?;
            let spec = Itimerspec {
                it_interval: zero,
                it_value: value,
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
            Ok(())
        }

        pub fn poll_timeout(&self, _wait: Duration) -> Option<Duration> {
            None
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod timer {
    use super::*;

    /// Without such a timer, the poll's timeout has to do.
    pub struct Alarm;

    impl Alarm {
        pub fn new(_poll: &Poll, _token: Token) -> io::Result<Alarm> {
            Ok(Alarm)
        }

        pub fn set(&self, _wait: Duration) -> io::Result<()> {
            Ok(())
        }

        pub fn poll_timeout(&self, wait: Duration) -> Option<Duration> {
            Some(wait)
        }
    }
}

pub use timer::Alarm;
