//! An adapter as a process: commands go in, answers come out.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long an adapter may take for a command that has no time of its own. A machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take until it answers the first command. A virtual machine of a language needs half a second of the
/// processor for that, and several start at once: on a machine with a long queue that has taken more than a minute.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// How long an adapter may take to end after the end of its input.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// How much of what it wrote to standard error is shown.
const SHOWN_BYTES: usize = 4000;

/// What an adapter answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done.
    Ok(Value),
    /// The library gave an error: the whole `error` object.
    Error(Value),
    /// The library has no such thing; why.
    Unsupported(String),
}

/// A running adapter. It is ended when it is dropped.
pub struct Adapter {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    complaints: Arc<Mutex<Vec<u8>>>,
    // Answers that came before their turn.
    early: BTreeMap<u64, Value>,
    next_id: u64,
    is_stuck: bool,
}

impl Adapter {
    /// Starts the adapter that this program is, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub fn start(mut program: Command) -> Result<Adapter, String> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let program = program.get_program().display();
                format!("the adapter does not start: {program}: {error}")
            })?;
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let mut err = child.stderr.take().expect("it is piped");
        thread::spawn({
            let complaints = Arc::clone(&complaints);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = err.read(&mut bytes) {
                    complaints.lock().unwrap().extend(&bytes[..count]);
                }
            }
        });
        let mut adapter = Adapter {
            input: child.stdin.take(),
            child,
            lines,
            complaints,
            early: BTreeMap::new(),
            next_id: 1,
            is_stuck: false,
        };
        // Any command will do: the time of its start is not that of the first call.
        adapter.ask(json!({"do": "code", "code": 36}), START_PATIENCE)?;
        Ok(adapter)
    }

    /// Gives a command, and waits for its answer.
    ///
    /// # Errors
    /// There is no answer in this time, or it is not one.
    pub fn ask(&mut self, mut command: Value, patience: Duration) -> Result<Answer, String> {
        let id = self.next_id;
        self.next_id += 1;
        let what = command["do"].to_string();
        command["id"] = json!(id);
        let input = self.input.as_mut().expect("it is open until the drop");
        let line = format!("{command}\n");
        if input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush())
            .is_err()
        {
            return Err(self.told(&format!("the adapter has ended before {what}")));
        }
        let until = Instant::now() + patience;
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return answer_of(&answer)
                    .map_err(|reason| self.told(&format!("{what}: {reason}")));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.take(&line)?,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.is_stuck = true;
                    let reason = format!("no answer to {what} within {patience:?}");
                    return Err(self.told(&reason));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.told(&format!("the adapter has ended during {what}")));
                }
            }
        }
    }

    /// Whether it has not answered, so that there is no use in asking it for more.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let answer: Value = serde_json::from_str(line).map_err(|_| {
            self.told(&format!(
                "the adapter wrote a line that is not JSON: {line}"
            ))
        })?;
        let id = answer["id"]
            .as_u64()
            .ok_or_else(|| self.told(&format!("an answer has no id: {line}")))?;
        self.early.insert(id, answer);
        Ok(())
    }

    /// The reason, and what the adapter has written to standard error.
    pub fn told(&self, reason: &str) -> String {
        let complaints = self.complaints.lock().unwrap();
        let start = complaints.len().saturating_sub(SHOWN_BYTES);
        let text = String::from_utf8_lossy(&complaints[start..])
            .trim()
            .to_owned();
        match text.is_empty() {
            true => reason.to_owned(),
            false => format!("{reason}\nit wrote to standard error:\n{text}"),
        }
    }

    /// Ends it as the README says, and checks that it does end.
    ///
    /// # Errors
    /// It did not, or not with 0.
    pub fn end(mut self) -> Result<(), String> {
        drop(self.input.take());
        let until = Instant::now() + END_PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(self.told(&format!("the adapter ended with {status}")));
                }
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(self.told(&format!(
            "the adapter does not end within {END_PATIENCE:?} after the end of its input"
        )))
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer_of(answer: &Value) -> Result<Answer, String> {
    if let Some(done) = answer.get("ok") {
        return Ok(Answer::Ok(done.clone()));
    }
    if let Some(error) = answer.get("error") {
        return match error["class"].as_str() {
            Some(_) => Ok(Answer::Error(error.clone())),
            None => Err(format!("an error without a class: {answer}")),
        };
    }
    match answer["unsupported"].as_str() {
        Some(why) => Ok(Answer::Unsupported(why.to_owned())),
        None => Err(format!(
            "an answer without ok, error or unsupported: {answer}"
        )),
    }
}
