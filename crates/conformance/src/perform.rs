//! Performs a scenario: starts its servers, tells an adapter what to do, and looks at what comes of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    adapter::{Adapter, Answer, PATIENCE},
    compare::{matches, number},
    scenario::{Call, Scenario},
    stage::{Props, Stage},
    texts::TEXTS,
};

/// A call may not take longer than its `call_timeout`. This many times as long is sure to be a fault, however busy the
/// machine is.
const CALL_MARGIN: u32 = 4;

/// And it is at least this.
const CALL_PATIENCE_MIN: Duration = Duration::from_secs(6);

/// The times of a client in a scenario that does not give them. They are longer than those of a library, so that only
/// what a scenario is about runs out of time on a busy machine.
const TIMES_MS: [(&str, u64); 3] = [
    ("connect_timeout_ms", 15_000),
    ("reply_timeout_ms", 15_000),
    ("call_timeout_ms", 30_000),
];

/// How long the kit waits for an answer that is too late, to tell it from one that never comes.
const MORE: Duration = Duration::from_secs(3);

/// How long the kit waits for what must come soon. After twice as long a source drops what it holds, and that could look like
/// what must come.
const SOON: Duration = Duration::from_secs(30);

/// How long the servers wait in the end for what the client has still to send.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// How a client did in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it must.
    Passed,
    /// It differs, and how.
    Failed(String),
    /// Its language has no such thing; why.
    Unsupported(String),
    /// It cannot be tried on this machine; why.
    Skipped(String),
}

/// Performs a scenario; a split one once for each byte.
pub fn perform(scenario: &Scenario, adapter: &mut Adapter, props: &Props) -> Outcome {
    let (whole, sent) = perform_once(scenario, adapter, props, None);
    if !scenario.is_split || whole != Outcome::Passed {
        return whole;
    }
    for (server, bytes) in sent.iter().enumerate() {
        for at in 1..*bytes {
            let cut = Some((server, at));
            match perform_once(scenario, adapter, props, cut).0 {
                Outcome::Passed => {}
                Outcome::Failed(reason) => {
                    let reason = format!("split before byte {at} of {bytes}: {reason}");
                    return Outcome::Failed(reason);
                }
                other @ (Outcome::Unsupported(_) | Outcome::Skipped(_)) => return other,
            }
        }
    }
    Outcome::Passed
}

/// The outcome, and how many bytes each server has sent.
fn perform_once(
    scenario: &Scenario,
    adapter: &mut Adapter,
    props: &Props,
    cut: Option<(usize, usize)>,
) -> (Outcome, Vec<usize>) {
    let mut stage = match Stage::set(scenario, props, cut) {
        Ok(stage) => stage,
        Err(why) => return (Outcome::Skipped(why), Vec::new()),
    };
    let mut player = Player {
        adapter,
        addresses: stage.given(),
        handle: None,
        call_timeout: call_timeout(&scenario.open),
        newest: None,
        all: BTreeSet::new(),
        loose: 0,
        asked_before: vec![0; scenario.servers.len()],
    };
    let played = player.play(scenario, props, &stage);
    let closed = player.close();
    let mut faults: Vec<String> = Vec::new();
    let unsupported = match played {
        Ok(unsupported) => unsupported,
        Err(reason) => {
            faults.push(reason);
            None
        }
    };
    if faults.is_empty() {
        faults.extend(closed.err());
    }
    let sent = stage.sent();
    let told = stage.end();
    if unsupported.is_none() {
        faults.extend(told);
    }
    let outcome = match (faults.is_empty(), unsupported) {
        (false, _) => Outcome::Failed(faults.join("\n")),
        (true, Some(why)) => Outcome::Unsupported(why),
        (true, None) => Outcome::Passed,
    };
    (outcome, sent)
}

fn call_timeout(open: &Value) -> Duration {
    let told = open["options"]["call_timeout_ms"].as_u64();
    Duration::from_millis(told.unwrap_or(TIMES_MS[2].1))
}

/// What the runner knows of the client while a scenario runs.
struct Player<'a> {
    adapter: &'a mut Adapter,
    addresses: Vec<String>,
    handle: Option<String>,
    call_timeout: Duration,
    /// The newest identity of calls that came one after the other.
    newest: Option<u64>,
    /// All identities.
    all: BTreeSet<u64>,
    /// Calls that were begun and not waited for.
    loose: usize,
    /// How many requests each server had got at the end of the last pause.
    asked_before: Vec<usize>,
}

impl Player<'_> {
    /// Does everything, and says why it is not supported if it is not.
    fn play(
        &mut self,
        scenario: &Scenario,
        props: &Props,
        stage: &Stage,
    ) -> Result<Option<String>, String> {
        let mut command = scenario.open.clone();
        command["do"] = json!("open");
        if command.get("servers").is_none() {
            command["servers"] = json!(self.addresses);
        }
        for (option, time) in TIMES_MS {
            if command["options"].get(option).is_none() {
                command["options"][option] = json!(time);
            }
        }
        match command["options"]["tls"].as_str() {
            None => {}
            Some(kind @ ("ca" | "own")) => {
                command["options"]["tls"] = props.certificates.files(kind == "own");
            }
            Some(other) => return Err(format!("the option tls is ca or own, not {other}")),
        }
        let gives = command
            .as_object_mut()
            .and_then(|command| command.remove("gives"));
        let answer = self.adapter.ask(command, PATIENCE)?;
        if let Answer::Unsupported(why) = answer {
            return Ok(Some(why));
        }
        self.judge("open", gives.as_ref(), &answer)?;
        if let Answer::Ok(done) = &answer {
            let handle = done["handle"].as_str().ok_or("open gave no handle")?;
            self.handle = Some(handle.to_owned());
        }
        for (place, call) in scenario.calls.iter().enumerate() {
            match call {
                Call::Wait(time) => {
                    std::thread::sleep(*time);
                    for (index, scripted) in stage.scripted() {
                        self.asked_before[index] = scripted.requests();
                    }
                }
                Call::Asked {
                    server,
                    count,
                    every,
                } => {
                    let before = self.asked_before.get(*server).copied().unwrap_or(0);
                    let scripted = stage.of(*server)?;
                    scripted.wait_for(before + 1, SOON);
                    let mut asked = scripted.asked_from(before);
                    if !every {
                        asked.truncate(1);
                    }
                    if asked.is_empty() || !asked.iter().all(|one| matches(count, &json!(one))) {
                        return Err(format!(
                            "call {place}: after the pause {count} was expected, and server {server} was asked for {asked:?}"
                        ));
                    }
                }
                Call::Seen { server, requests } => {
                    let scripted = stage.of(*server)?;
                    if !scripted.wait_for(*requests, SOON) {
                        let reason = format!(
                            "server {server} has not got {requests} requests within {SOON:?}"
                        );
                        return Err(format!("call {place}: {reason}"));
                    }
                }
                Call::Ask {
                    command,
                    gives,
                    times,
                    soon,
                    within,
                    at_least,
                } => {
                    if *soon {
                        self.await_answer(command, gives.as_ref())?;
                    }
                    for turn in 0..*times {
                        let gives = gives.as_ref().map(|gives| moved(gives, turn));
                        let name = match times {
                            1 => format!("call {place} ({command})"),
                            _ => format!("call {place} ({command}), time {turn}"),
                        };
                        let command = named(command, *times, turn);
                        let unsupported = self
                            .call(&command, gives.as_ref(), (*within, *at_least))
                            .map_err(|reason| format!("{name}: {reason}"))?;
                        if unsupported.is_some() {
                            return Ok(unsupported);
                        }
                    }
                }
            }
        }
        for (_, scripted) in stage.scripted() {
            scripted.settle(SETTLE_PATIENCE);
        }
        match stage.miscounted(&scenario.connections) {
            Some(wrong) => Err(wrong),
            None => Ok(None),
        }
    }

    /// Asks again and again until it gives what is expected. The last answer is judged by the caller.
    fn await_answer(&mut self, command: &Value, gives: Option<&Value>) -> Result<(), String> {
        let until = Instant::now() + SOON;
        let mut command = command.clone();
        command["of"] = json!(self.handle);
        while Instant::now() < until {
            match (self.adapter.ask(command.clone(), PATIENCE)?, gives) {
                (Answer::Ok(done), Some(gives)) if !matches(gives, &done) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        command: &Value,
        gives: Option<&Value>,
        (within, at_least): (Option<Duration>, Duration),
    ) -> Result<Option<String>, String> {
        let mut command = command.clone();
        let handle = self.handle.clone().ok_or("nothing was opened")?;
        let is_of_call = ["wait", "cancel"]
            .iter()
            .any(|what| command["do"] == **what);
        match command.get_mut("command") {
            Some(inner) => inner["of"] = json!(handle),
            None if is_of_call => {}
            None => command["of"] = json!(handle),
        }
        let what = command["do"].as_str().unwrap_or_default().to_owned();
        match what.as_str() {
            "start" => self.loose += 1,
            "wait" => self.loose = self.loose.saturating_sub(1),
            _ => {}
        }
        let bound = (self.call_timeout * CALL_MARGIN).max(CALL_PATIENCE_MIN);
        let bound = within.unwrap_or(bound);
        let began = Instant::now();
        let answer = self.adapter.ask(command, bound + MORE)?;
        let took = began.elapsed();
        if let Answer::Unsupported(why) = answer {
            return Ok(Some(why));
        }
        self.judge(&what, gives, &answer)?;
        if took > bound {
            return Err(format!("it took {took:?}, more than {bound:?}"));
        }
        if took < at_least {
            return Err(format!("it took only {took:?}, less than {at_least:?}"));
        }
        Ok(None)
    }

    /// Whether the answer is what must come, and keeps what is always promised.
    fn judge(&mut self, what: &str, gives: Option<&Value>, answer: &Answer) -> Result<(), String> {
        let class = gives.and_then(|gives| gives["error"].as_str());
        match (answer, class) {
            (Answer::Ok(done), None) => {
                if let Some(gives) = gives
                    && !matches(gives, done)
                {
                    return Err(format!("expected {gives}, got {done}"));
                }
                self.take(what, done)
            }
            (Answer::Ok(done), Some(_)) => Err(format!(
                "expected {}, got {done}",
                gives.unwrap_or(&Value::Null)
            )),
            (Answer::Error(error), None) => Err(format!("it gave an error: {error}")),
            (Answer::Error(error), Some(class)) => self
                .judge_error(class, gives.unwrap_or(&Value::Null), error)
                .map_err(|reason| format!("{reason}: {error}")),
            (Answer::Unsupported(why), _) => Err(format!("not supported: {why}")),
        }
    }

    fn judge_error(&self, class: &str, gives: &Value, error: &Value) -> Result<(), String> {
        if error["class"] != class {
            return Err(format!("expected an error of class {class}, got another"));
        }
        let message = error["message"].as_str().unwrap_or_default();
        if message.is_empty() && class != "cancelled" {
            return Err("the error has no message".to_owned());
        }
        let empty = Vec::new();
        let failures = error["failures"].as_array().unwrap_or(&empty);
        if let Some(says) = gives["says"].as_str() {
            let texts = failures
                .iter()
                .filter_map(|failure| failure["cause"].as_str());
            let said = texts.chain([message]).any(|text| {
                let text = text.to_lowercase();
                says.to_lowercase()
                    .split('|')
                    .any(|word| text.contains(word))
            });
            if !said {
                return Err(format!("the error does not say {says:?}"));
            }
        }
        if let Some(code) = gives.get("code")
            && !matches(code, &error["code"])
        {
            return Err(format!("expected the code {code}"));
        }
        let is_known = |server: &str| self.addresses.iter().any(|known| known == server);
        match class {
            "unavailable" => {
                let expected = match gives.get("failures") {
                    Some(count) => count.clone(),
                    // It lists every server with its last failure.
                    None => json!(self.addresses.len()),
                };
                if !matches(&expected, &json!(failures.len())) {
                    return Err(format!("expected {expected} failures"));
                }
                let servers: BTreeSet<&str> = failures
                    .iter()
                    .filter_map(|failure| failure["server"].as_str())
                    .collect();
                if servers.len() != failures.len() || !servers.iter().all(|server| is_known(server))
                {
                    return Err(format!(
                        "each failure is that of another server of {:?}",
                        self.addresses
                    ));
                }
                let has_cause = |failure: &Value| {
                    failure["cause"]
                        .as_str()
                        .is_some_and(|cause| !cause.is_empty())
                };
                if !failures.iter().all(has_cause) {
                    return Err("a failure has no cause".to_owned());
                }
            }
            "cancelled" => return Ok(()),
            _ => {}
        }
        match TEXTS.fault(error, &self.addresses) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Notes the identities, of which each must be new, and greater than those before it if no other call was under way.
    fn take(&mut self, what: &str, done: &Value) -> Result<(), String> {
        let (first, count) = match (number(&done["identity"]), number(&done["first"])) {
            (Some(identity), _) if what != "newest" => (identity, 1),
            (_, Some(first)) => (first, done["count"].as_u64().unwrap_or(1)),
            _ => return Ok(()),
        };
        // What a forked child takes is of another block than what its parent takes.
        if !["wait", "in_fork"].contains(&what) && self.loose == 0 {
            if let Some(newest) = self.newest.filter(|newest| first <= *newest) {
                return Err(format!("{first} came after {newest}"));
            }
            self.newest = Some(first + 1024 * (count - 1));
        }
        for place in 0..count {
            let identity = first + 1024 * place;
            if !self.all.insert(identity) {
                return Err(format!("{identity} came twice"));
            }
        }
        Ok(())
    }

    /// Closes what was opened. A handle that is left would disturb the next scenario.
    fn close(&mut self) -> Result<(), String> {
        let Some(handle) = self.handle.take().filter(|_| !self.adapter.is_stuck()) else {
            return Ok(());
        };
        match self
            .adapter
            .ask(json!({"do": "close", "of": handle}), PATIENCE)?
        {
            Answer::Error(error) if error["class"] != "closed" => {
                Err(format!("close gave an error: {error}"))
            }
            _ => Ok(()),
        }
    }
}

/// The command of this turn: each of several calls that are begun or waited for has a name of its own.
fn named(command: &Value, times: u64, turn: u64) -> Value {
    let mut command = command.clone();
    if times > 1
        && let Some(name) = command["call"].as_str()
    {
        command["call"] = json!(format!("{name}{turn}"));
    }
    command
}

/// What is expected of this turn: an identity in it moves on with each.
fn moved(gives: &Value, turn: u64) -> Value {
    let mut gives = gives.clone();
    for name in ["identity", "first"] {
        if let Some(start) = gives[name]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
        {
            gives[name] = json!((start + 1024 * turn).to_string());
        }
    }
    gives
}
