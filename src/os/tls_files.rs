//! Reading the files of TLS again, on a helper thread: a file may be on a disk that hangs.

use std::{collections::VecDeque, io, thread};

use super::{Done, Reporter, late::tell_if_late};
use crate::{
    limits::TLS_READS_MAX,
    secure::{Files, Settings},
};

/// What was read, and the number of the reading.
pub(crate) type TlsRead = (u64, Result<Settings, String>);

/// The files, and how far reading them again has come. Whoever asks gets a reading that begins after that. So where one is
/// under way, perhaps on a disk that hangs, another one begins beside it, and only the newest one counts.
pub(super) struct TlsFiles {
    files: Files,
    /// How many threads are at work.
    under_way: usize,
    /// The number of the last reading that has begun.
    begun: u64,
    /// The number of the newest reading that is over.
    over: u64,
    read: VecDeque<Result<Settings, String>>,
}

impl TlsFiles {
    pub(super) fn new(files: Files) -> TlsFiles {
        TlsFiles {
            files,
            under_way: 0,
            begun: 0,
            over: 0,
            read: VecDeque::new(),
        }
    }

    /// Starts to read them.
    pub(super) fn read(&mut self, reporter: &Reporter) {
        self.begun += 1;
        let number = self.begun;
        let begun = match self.under_way < TLS_READS_MAX {
            true => begin(number, self.files.clone(), reporter.clone())
                .map_err(|error| format!("cannot start a thread to read the files: {error}")),
            false => Err(format!(
                "the disk does not answer: {TLS_READS_MAX} readings of {} wait for it already",
                shown(&self.files)
            )),
        };
        // Even a reading that has not begun is reported, and counts as one until then.
        self.under_way += 1;
        if let Err(text) = begun {
            reporter.report(Done::TlsRead(Box::new((number, Err(text)))));
        }
    }

    /// One reading is over. Returns whether it counts.
    pub(super) fn have(&mut self, (number, outcome): TlsRead) -> bool {
        self.under_way -= 1;
        let is_newest = number > self.over;
        if is_newest {
            self.over = number;
            self.read.push_back(outcome);
        }
        is_newest
    }

    /// Takes what was read.
    pub(super) fn take(&mut self) -> Option<Result<Settings, String>> {
        self.read.pop_front()
    }
}

fn begin(number: u64, files: Files, reporter: Reporter) -> io::Result<()> {
    let what = format!("reading {} again", shown(&files));
    let read = move || {
        let settings = tell_if_late(&what, "the old certificates stay until then", || {
            Settings::read(&files)
        });
        reporter.report(Done::TlsRead(Box::new((number, settings))));
    };
    thread::Builder::new()
        .name("tls-files".to_owned())
        .spawn(read)
        .map(drop)
}

/// The names of the files, for people.
fn shown(files: &Files) -> String {
    let of_cas = [&files.client_ca, &files.peer_ca].into_iter().flatten();
    let all = [&files.certificate, &files.key].into_iter().chain(of_cas);
    let names: Vec<String> = all.map(|file| file.display().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The disk did not answer the first one, and somebody asked again.
    #[test]
    fn a_reading_that_was_overtaken_does_not_count() {
        let files = Files {
            certificate: "server.pem".into(),
            key: "server.key".into(),
            client_ca: None,
            peer_ca: Some("ca.pem".into()),
        };
        assert_eq!(shown(&files), "server.pem, server.key, ca.pem");
        let mut readings = TlsFiles {
            under_way: 2,
            begun: 2,
            ..TlsFiles::new(files)
        };
        let outcome = |text: &str| Err(text.to_owned());
        assert!(readings.have((2, outcome("the second"))));
        assert!(!readings.have((1, outcome("the first"))));
        assert_eq!(readings.under_way, 0);
        let taken = readings.take().map(|read| read.err());
        assert_eq!(taken, Some(Some("the second".to_owned())));
        assert!(readings.take().is_none());
    }
}
