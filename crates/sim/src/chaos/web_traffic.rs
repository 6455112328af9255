//! The traffic of the clients that speak HTTP: when each one asks, and whether the answers are right.

use std::{io, time::Duration};

use ipseity_core::{
    identity::Identity,
    words::{ErrorCode, Standing},
};

use super::{
    answers::{Answer, Said, next_answer},
    calls::Call,
    client::{Asked, Known, Web, WebAsked, may_answer},
    cluster::Cluster,
    coverage::Heard,
    fault::chance,
    scrapes::Scrape,
};

/// How long somebody who says nothing may be silent, in milliseconds.
const SILENT_MS: u64 = 4000;

/// What `/livez` says.
const LIVE: &str = "loop ok\nlive\n";

/// What a server says that is not ready: the beginning of the reason, and the error that its requests would get.
const REASONS: [(&str, ErrorCode); 6] = [
    ("standing failed: pid conflict", ErrorCode::PidConflict),
    ("standing failed: stale state", ErrorCode::StaleState),
    ("standing failed: exhausted", ErrorCode::Exhausted),
    (
        "standing failed: the server is stopping",
        ErrorCode::Stopping,
    ),
    ("disk failed: a write has failed", ErrorCode::Storage),
    ("etcd failed: a write has failed", ErrorCode::Storage),
];
const JOINS: &str = "joined failed: ";
/// What a server says that waits for its disk, and what one says that waits for etcd.
const WAITS_FOR_DISK: &str = "disk failed: waiting for a write that began ";
const WAITS_FOR_ETCD: [&str; 3] = [
    "etcd failed: it confirmed ",
    "etcd failed: requests have waited too long for it, ",
    "etcd failed: waiting for a write to it that began ",
];

/// What never ends before the next start.
const FOR_GOOD: [ErrorCode; 3] = [
    ErrorCode::PidConflict,
    ErrorCode::StaleState,
    ErrorCode::Exhausted,
];

impl Cluster {
    /// A client sends its next requests by HTTP, unless it is silent for a while.
    pub fn ask_by_http(&mut self, number: usize) {
        let now = self.now();
        let client = &mut self.clients[number];
        if chance(&mut client.rng, client.plan.silent) {
            let wait = Duration::from_millis(client.rng.u64(..SILENT_MS));
            client.due = now.after(wait);
            return self.call(now.after(wait), Call::Client(number));
        }
        let Some(connection) = &client.connection else {
            return;
        };
        let (server, began) = (connection.server, connection.began);
        let machine = &self.machines[server];
        let is_present = machine.server.is_some() && machine.began <= began;
        let known = Known {
            floor: self.judge.floor(server, machine.began),
            at: now,
            is_present,
            is_stopped: is_present && machine.is_stopped,
            has_given: is_present && self.judge.lives[server].has_given,
            highest: self.judge.highest(),
        };
        let batch = self.clients[number].draw_web(known, &self.template);
        if batch.cut.is_some() {
            self.judge.coverage.heard(Heard::Pieces);
        }
        self.send(number, batch);
    }

    /// A client sends the rest of a request that it has sent a part of.
    pub fn send_rest(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let later = std::mem::take(&mut connection.later);
        if !later.is_empty() && !client.write(&later) {
            self.leave(number, true);
        }
    }

    /// Something has changed on a connection by HTTP.
    pub fn on_web_ready(&mut self, number: usize) {
        let mut room = [0; 4096];
        loop {
            match self.clients[number].read(&mut room) {
                Ok(0) => return self.on_end(number),
                Ok(bytes) => {
                    let Some(connection) = &mut self.clients[number].connection else {
                        return;
                    };
                    connection.partial.extend_from_slice(&room[..bytes]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(number, false),
            }
            let Some(connection) = &mut self.clients[number].connection else {
                return;
            };
            // On a slow link an answer comes in thousands of pieces, so what has come is not copied each time.
            let mut partial = std::mem::take(&mut connection.partial);
            let mut at = 0;
            loop {
                match next_answer(&partial[at..]) {
                    Ok(Some((answer, length))) => {
                        self.on_answer(number, &answer);
                        at += length;
                    }
                    Ok(None) => break,
                    Err(wrong) => {
                        return self
                            .judge
                            .note_violation(|| format!("client {number} cannot read: {wrong}"));
                    }
                }
            }
            partial.drain(..at);
            if let Some(connection) = &mut self.clients[number].connection {
                connection.partial = partial;
            }
        }
    }

    fn on_answer(&mut self, number: usize, answer: &Answer<'_>) {
        let Some(connection) = &mut self.clients[number].connection else {
            return;
        };
        let (server, was_told) = (connection.server, connection.is_told);
        let asked = connection.asked.pop_front();
        let waits = connection.later.len();
        if answer.closes {
            // What was asked behind it is not answered.
            connection.is_told = true;
            connection.asked.clear();
            connection.later.clear();
            self.judge.coverage.heard(Heard::Closes);
        }
        let wrong = match self.what_is_wrong(number, asked.as_ref(), answer) {
            _ if was_told => Some("after the last answer".to_owned()),
            wrong => wrong,
        };
        if let Some(wrong) = wrong {
            self.judge.note_violation(|| {
                format!(
                    "client {number} asks server {server} by HTTP {asked:?} ({waits} bytes were not sent yet) and gets \
                     {answer:?}: {wrong}"
                )
            });
        }
    }

    /// What is wrong with an answer, if anything is.
    fn what_is_wrong(
        &mut self,
        number: usize,
        asked: Option<&Asked>,
        answer: &Answer<'_>,
    ) -> Option<String> {
        let says = |wrong: &str| Some(wrong.to_owned());
        let said = match answer.said() {
            Ok(said) => said,
            Err(wrong) => return Some(wrong),
        };
        if let Said::Error { code, .. } = said
            && matches!(code, ErrorCode::TooManyConnections | ErrorCode::Incomplete)
        {
            // A slow request is not whole in time, and a crowd is turned away before it asks.
            let (heard, status) = match code {
                ErrorCode::Incomplete => (Heard::Late, 408),
                _ => (Heard::TooMany, 503),
            };
            self.judge.coverage.heard(heard);
            let is_right = answer.closes && answer.status == status;
            return (!is_right).then(|| "an error that has another form".to_owned());
        }
        let Some(Asked::Web(asked)) = asked else {
            return says("it has asked nothing");
        };
        let connection = self.clients[number].connection.as_ref()?;
        let server = connection.server;
        // In the reserve a probe is answered, and so is what is malformed, and that is all.
        let answers_beyond = match asked.what {
            Web::Live | Web::Ready | Web::Refused(_) | Web::Identities { count: 0, .. } => true,
            Web::Identities { .. } | Web::Status | Web::Metrics | Web::Unfinished => false,
        };
        let net = self.net.borrow();
        let other = net.other_side(connection.socket.end());
        let is_beyond = answers_beyond && other.is_none_or(|(other, _)| !net.ends[other].has_place);
        drop(net);
        match (asked.closes, answer.closes) {
            (true, false) => return says("the connection has to end"),
            (false, true) if !is_beyond => return says("the connection must not end"),
            _ => {}
        }
        match (asked.what, said) {
            (Web::Identities { .. }, _) => self.look_at_identities(number, asked, said, answer),
            (Web::Refused(status), Said::Page) if answer.status == status => {
                self.judge.coverage.heard(Heard::Refused);
                None
            }
            (Web::Live, Said::Page) if (answer.status, answer.body) == (200, LIVE) => {
                self.judge.coverage.heard(Heard::Live);
                None
            }
            (Web::Ready, Said::Page) => self.look_at_readiness(number, asked, answer),
            (Web::Status, Said::Page) if answer.status == 200 => {
                self.judge.coverage.heard(Heard::Status);
                self.look_at_web_status(server, asked, answer)
            }
            (Web::Metrics, Said::Page) if answer.status == 200 => {
                self.judge.coverage.heard(Heard::Scrape);
                self.look_at_scrape(number, asked, answer)
            }
            _ => says("it answers something else"),
        }
    }

    fn look_at_identities(
        &mut self,
        number: usize,
        asked: &WebAsked,
        said: Said<'_>,
        answer: &Answer<'_>,
    ) -> Option<String> {
        let says = |wrong: &str| Some(wrong.to_owned());
        let Web::Identities {
            count,
            after,
            is_text,
        } = asked.what
        else {
            return says("it has asked for no identities");
        };
        let client = &mut self.clients[number];
        let connection = client.connection.as_ref()?;
        let (server, began) = (connection.server, connection.began);
        match said {
            Said::Identities {
                first,
                count: got,
                is_text: in_text,
            } => {
                let floor = &asked.known.floor;
                let least = self.judge.least(server, floor, self.machines[server].began);
                let sequence = Identity::from_u64(first).map_or(0, |first| first.sequence().get());
                client.newest = client
                    .newest
                    .max(first + (u64::from(got) - 1) * ipseity_core::identity::IDENTITY_STRIDE);
                if answer.status != 200 || in_text != is_text {
                    says("it was asked for in another form")
                } else if got != count {
                    says("it is not as many")
                } else if first <= after || sequence <= least {
                    Some(format!("it is not above {after} and sequence {least}"))
                } else if asked.known.is_stopped {
                    says("it was stopped")
                } else {
                    None
                }
            }
            Said::Error { code, .. } => {
                let status = match code {
                    ErrorCode::BadCount | ErrorCode::AdvanceTooLarge => 400,
                    _ => 503,
                };
                if status == 503 {
                    self.judge.coverage.heard(Heard::Unavailable);
                }
                let in_frames = Asked::Identities {
                    count,
                    after,
                    floor: asked.known.floor,
                };
                let is_json = answer.content == "application/json";
                let is_due = may_answer(code, &in_frames, &self.template, &client.plan);
                let is_present = asked.known.is_present && self.machines[server].began <= began;
                // Where a block does not fit any more, a smaller one may.
                let is_block = code == ErrorCode::Exhausted;
                if is_present && FOR_GOOD.contains(&code) && !is_block {
                    self.machines[server].is_stopped = true;
                }
                if answer.status != status || is_json == is_text {
                    says("an error that has another form")
                } else if !is_due || !self.has_reason(server, began, code) {
                    says("there is no reason for it")
                } else {
                    None
                }
            }
            Said::Page => says("it is neither identities nor an error"),
        }
    }

    /// Looks at the answer of `/readyz`.
    fn look_at_readiness(
        &mut self,
        number: usize,
        asked: &WebAsked,
        answer: &Answer<'_>,
    ) -> Option<String> {
        let says = |wrong: &str| Some(wrong.to_owned());
        let connection = self.clients[number].connection.as_ref()?;
        let (server, began) = (connection.server, connection.began);
        let machine = &self.machines[server];
        let is_present = asked.known.is_present && machine.began <= began;
        let (is_ok, verdict) = match answer.status {
            200 => (true, "ready"),
            503 => (false, "not ready"),
            _ => return says("it is neither ready nor not ready"),
        };
        let mut failed = answer
            .body
            .lines()
            .filter(|line| line.contains(" failed: "));
        if answer.body.lines().last() != Some(verdict) || is_ok != (failed.clone().count() == 0) {
            return says("its text says something else");
        }
        if is_ok {
            self.judge.coverage.heard(Heard::Ready);
            return match () {
                () if asked.known.is_stopped => says("it was stopped"),
                () if is_present && machine.is_objected => says("a peer has objected to it"),
                () => None,
            };
        }
        self.judge.coverage.heard(Heard::NotReady);
        let reason = failed.next().unwrap_or_default();
        let waits_for_etcd = WAITS_FOR_ETCD.iter().any(|start| reason.starts_with(start));
        if waits_for_etcd || reason.starts_with(WAITS_FOR_DISK) {
            let is_in_etcd = self.machines[server].plan.etcd.is_some();
            return (waits_for_etcd != is_in_etcd)
                .then(|| "it waits for what it has not".to_owned());
        }
        if reason.starts_with(JOINS) {
            let joins = !is_present || self.judge.lives[server].asks && !asked.known.has_given;
            return (!joins).then(|| "it does not join".to_owned());
        }
        let code = REASONS
            .iter()
            .find(|(start, _)| reason.starts_with(start))
            .map(|(_, code)| *code);
        let Some(code) = code else {
            return says("there is no such reason");
        };
        if is_present && FOR_GOOD.contains(&code) {
            self.machines[server].is_stopped = true;
        }
        match self.has_reason(server, began, code) {
            true => None,
            false => says("there is no reason for it"),
        }
    }

    /// Looks at the JSON of `/status`.
    fn look_at_web_status(
        &mut self,
        server: usize,
        asked: &WebAsked,
        answer: &Answer<'_>,
    ) -> Option<String> {
        let body = answer.body;
        let is_whole = body.starts_with('{') && body.trim_end().ends_with('}');
        let value = |name: &str, end: char| {
            let (_, rest) = body.split_once(&format!("\"{name}\":"))?;
            Some(rest.trim_start_matches('"').split_once(end)?.0)
        };
        let pid = value("pid", ',').and_then(|pid| pid.parse::<u16>().ok());
        let sequence = value("sequence", '"').and_then(|sequence| sequence.parse::<u64>().ok());
        let standing = value("standing", '"');
        let standing = Standing::ALL
            .into_iter()
            .find(|one| Some(one.name()) == standing);
        let (true, Some(pid), Some(sequence), Some(_)) = (is_whole, pid, sequence, standing) else {
            return Some("it cannot be understood".to_owned());
        };
        // In etcd it may have had another one before.
        if self.machines[server].plan.etcd.is_none() && self.machines[server].plan.pid != pid {
            return Some("it has another pid".to_owned());
        }
        self.look_at_sequence(server, asked, sequence)
    }

    /// A server has told a client its sequence.
    fn look_at_sequence(
        &mut self,
        server: usize,
        asked: &WebAsked,
        sequence: u64,
    ) -> Option<String> {
        let pid = self.machines[server].plan.pid;
        let left = asked.known.floor.left;
        let machine = &self.machines[server];
        let is_over = machine.server.is_none() || asked.known.floor.began != machine.began;
        if !asked.known.is_present || is_over {
            // It may be that of an earlier life.
            return None;
        }
        let state = self.judge.pid(pid);
        state.told = state.told.max(sequence);
        (sequence < left && !self.judge.is_breached(pid))
            .then(|| format!("sequence {left} had left it"))
    }

    /// Looks at the metrics. Within a life, no counter falls.
    fn look_at_scrape(
        &mut self,
        number: usize,
        asked: &WebAsked,
        answer: &Answer<'_>,
    ) -> Option<String> {
        let now = self.now();
        let scrape = match Scrape::read(answer.body, now) {
            Ok(scrape) => scrape,
            Err(wrong) => return Some(wrong),
        };
        let connection = self.clients[number].connection.as_ref()?;
        let (server, began) = (connection.server, connection.began);
        let machine = &mut self.machines[server];
        let is_present = asked.known.is_present && machine.began <= began;
        if !is_present || machine.server.is_none() {
            return None;
        }
        let before = machine.scraped.as_ref();
        // One that was under way at the same time may be older.
        let before = before.filter(|before| before.came_at <= asked.known.at);
        let fell = before.and_then(|before| scrape.what_fell(before));
        let sequence = scrape.sequence;
        if before.is_some() || machine.scraped.is_none() {
            machine.scraped = Some(scrape);
        }
        fell.or_else(|| self.look_at_sequence(server, asked, sequence))
    }
}
