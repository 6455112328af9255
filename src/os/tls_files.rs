//! Reading the files of TLS again, on a helper thread: a file may be on a disk that hangs.

use std::{collections::VecDeque, io, thread};

use super::{Done, Reporter};
use crate::secure::{Files, Settings};

/// The files, and how far reading them again has come. There is one thread at a time. If they are to be read while it is at
/// work, they are read once more after that.
pub(super) struct TlsFiles {
    files: Files,
    is_reading: bool,
    once_more: bool,
    read: VecDeque<Result<Settings, String>>,
}

impl TlsFiles {
    pub(super) fn new(files: Files) -> TlsFiles {
        TlsFiles {
            files,
            is_reading: false,
            once_more: false,
            read: VecDeque::new(),
        }
    }

    /// Starts to read them.
    pub(super) fn read(&mut self, reporter: &Reporter) {
        if self.is_reading {
            self.once_more = true;
            return;
        }
        self.is_reading = true;
        if let Err(error) = begin(self.files.clone(), reporter.clone()) {
            let text = format!("cannot start a thread to read the files: {error}");
            reporter.report(Done::TlsRead(Box::new(Err(text))));
        }
    }

    /// They were read.
    pub(super) fn have(&mut self, outcome: Result<Settings, String>, reporter: &Reporter) {
        self.is_reading = false;
        self.read.push_back(outcome);
        if std::mem::take(&mut self.once_more) {
            self.read(reporter);
        }
    }

    /// Takes what was read.
    pub(super) fn take(&mut self) -> Option<Result<Settings, String>> {
        self.read.pop_front()
    }
}

fn begin(files: Files, reporter: Reporter) -> io::Result<()> {
    let read = move || reporter.report(Done::TlsRead(Box::new(Settings::read(&files))));
    thread::Builder::new()
        .name("tls-files".to_owned())
        .spawn(read)
        .map(drop)
}
