//! A real etcd, asked by its JSON gateway: HTTP/1.1, one call at a time, and each call blocks until it is over.
//!
//! It decides nothing. It keeps apart what etcd has said was not done ([`CallError::Refused`]) from what may have been
//! done ([`CallError::Unanswered`]), and never sends a call again that may have been done, unless doing it twice is the
//! same as doing it once.

mod connector;
mod fault;
mod json;
mod secrets;
mod secured;
mod unreached;

use std::time::Duration;

use ureq::Agent;

use crate::{
    call::{Answer, Answered, Call, CallError, Header, Op},
    target::{Endpoint, Target},
};
use connector::{Dial, NamesLater};
use fault::{Complaint, Fault, fault_of};
use secrets::User;

pub use secrets::{Secrets, SecretsError};

/// How long one endpoint may take for one call. A healthy etcd answers in milliseconds and elects a new leader in a second
/// or two, so an endpoint that takes longer may have a neighbour that answers. etcd itself gives up after five to seven
/// seconds.
pub const TRY_MAX: Duration = Duration::from_secs(2);

/// How much of that the name, the connection and the handshake may take: one in this many parts. Then nothing was sent, and
/// the next endpoint is asked.
const CONNECT_PARTS: u32 = 2;

/// The longest answer that is read. 1024 pids have two keys each, of less than a kilobyte in base64: this is twice as
/// much.
pub const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// The longest head of an answer. etcd sends a few hundred bytes; something between it and us may add some.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How much is read and written at once. It has room for a whole head.
const BUFFER_BYTES: usize = 16 * 1024;

/// How long an unused connection is kept. Keepalives are further apart than raises, and a new connection costs them
/// little.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// A way to etcd. Each thread that asks has its own.
#[derive(Debug)]
pub struct Gateway {
    routes: Vec<Route>,
    /// The route that is asked first: the one that answered last.
    first: usize,
    secrets: Secrets,
    token: Token,
    /// Of the newest answer that had one.
    header: Header,
}

/// The way to one endpoint. It keeps a connection.
#[derive(Debug)]
struct Route {
    endpoint: Endpoint,
    agent: Agent,
    try_max: Duration,
}

/// What an endpoint has said.
enum Reply {
    /// The body of an answer.
    Good(Vec<u8>),
    Bad(Complaint),
}

/// What shows etcd who asks.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// There is no user, or etcd has no users.
    None,
    /// Who asks has to say first who they are.
    Wanted,
    Is(String),
}

impl Gateway {
    /// A way to these endpoints. Nothing is sent yet.
    ///
    /// # Errors
    /// The [`Secrets`] do not fit or cannot be read. They are read again for each connection and each token, so renewed
    /// ones count from then on.
    pub fn new(target: &Target, secrets: &Secrets) -> Result<Gateway, SecretsError> {
        Gateway::with_patience(target, secrets, TRY_MAX)
    }

    /// The same with another time that one endpoint may take.
    ///
    /// # Errors
    /// As [`new`](Gateway::new).
    pub fn with_patience(
        target: &Target,
        secrets: &Secrets,
        try_max: Duration,
    ) -> Result<Gateway, SecretsError> {
        secrets.check(target.uses_tls())?;
        let routes = target.endpoints().iter();
        let routes = routes.map(|endpoint| Route::new(endpoint.clone(), secrets, try_max));
        Ok(Gateway {
            routes: routes.collect(),
            first: 0,
            token: match secrets.user {
                Some(_) => Token::Wanted,
                None => Token::None,
            },
            secrets: secrets.clone(),
            header: Header::default(),
        })
    }

    /// Makes a call. It takes its patience for each endpoint at most, and twice as long for a new token and one more try.
    ///
    /// A revocation of a lease that was gone has the header of the answer before it, because etcd sends none.
    ///
    /// # Errors
    /// See [`CallError`]. The text names the endpoints that were asked.
    pub fn call(&mut self, call: &Call) -> Result<Answer, CallError> {
        let mut failed = Vec::new();
        let mut is_open = false;
        for step in 0..self.routes.len() {
            let index = (self.first + step) % self.routes.len();
            let (text, goes_on) = match self.ask(index, call) {
                Ok(answer) => {
                    self.first = index;
                    self.header = answer.header;
                    return Ok(answer);
                }
                Err(Fault::Refused(text)) => {
                    self.first = index;
                    return Err(CallError::Refused(self.told(&[(index, text)])));
                }
                Err(Fault::Full(text)) => {
                    self.first = index;
                    return Err(CallError::Unanswered(self.told(&[(index, text)])));
                }
                Err(Fault::Unserved(text)) => (text, true),
                Err(Fault::Unanswered(text)) => {
                    is_open = true;
                    (text, may_be_repeated(call))
                }
            };
            failed.push((index, text));
            if !goes_on {
                // The next call is a read that shall find out what happened: better not by the same endpoint.
                self.first = (index + 1) % self.routes.len();
                break;
            }
        }
        let text = self.told(&failed);
        Err(match is_open {
            true => CallError::Unanswered(text),
            false => CallError::Refused(text),
        })
    }

    /// What endpoints have said, or what went wrong there, for people. The same text of several stands there once.
    fn told(&self, failed: &[(usize, String)]) -> String {
        let mut told = String::new();
        for (position, (_, text)) in failed.iter().enumerate() {
            let is_same = |(_, other): &&(usize, String)| other == text;
            if failed[..position].iter().any(|it| is_same(&it)) {
                continue;
            }
            let same = failed.iter().filter(is_same);
            let endpoints: Vec<&Endpoint> = same
                .map(|(index, _)| &self.routes[*index].endpoint)
                .collect();
            told.push_str(match told.chars().last() {
                None => "",
                Some('?') => " And ",
                Some(_) => "; and ",
            });
            told.push_str(&format!("etcd at {}: {text}", list(&endpoints)));
        }
        told
    }

    /// Asks one endpoint, with a new token if one is wanted or the old one has expired.
    fn ask(&mut self, index: usize, call: &Call) -> Result<Answer, Fault> {
        let is_fresh = self.token == Token::Wanted;
        if is_fresh {
            self.token = self.log_in(index)?;
        }
        let (path, body) = json::request(call);
        let mut reply = self.routes[index].post(path, &body, &self.token)?;
        if self.wants_a_token(&reply) && !is_fresh {
            self.token = self.log_in(index)?;
            reply = self.routes[index].post(path, &body, &self.token)?;
        }
        if self.wants_a_token(&reply) {
            self.token = Token::Wanted;
        }
        match reply {
            Reply::Good(body) => json::answer(call, &body),
            Reply::Bad(complaint) if complaint.is_no_lease() && matches!(call, Call::Revoke(_)) => {
                let (header, answered) = (self.header, Answered::Revoked);
                Ok(Answer { header, answered })
            }
            Reply::Bad(complaint) => Err(complaint.fault()),
        }
    }

    fn wants_a_token(&self, reply: &Reply) -> bool {
        let wants = matches!(reply, Reply::Bad(complaint) if complaint.wants_a_token());
        wants && self.secrets.user.is_some()
    }

    /// Shows name and password, and gets a token.
    fn log_in(&self, index: usize) -> Result<Token, Fault> {
        let Some(file) = &self.secrets.user else {
            return Ok(Token::None);
        };
        let user = User::read(file).map_err(|error| Fault::Unserved(error.to_string()))?;
        let (path, body) = json::login(&user.name, &user.password);
        // Whether a token was made does not matter: what was asked for was not done.
        let reply = self.routes[index].post(path, &body, &Token::None);
        match reply.map_err(Fault::closed)? {
            Reply::Good(body) => json::token(&body).map(Token::Is).map_err(Fault::closed),
            // Users can be switched on later. Then etcd asks for one.
            Reply::Bad(complaint) if complaint.is_no_users() => Ok(Token::None),
            Reply::Bad(complaint) => Err(complaint.fault().closed()),
        }
    }
}

/// `a`, `a and b`, or `a, b and c`.
fn list(endpoints: &[&Endpoint]) -> String {
    let texts: Vec<String> = endpoints.iter().map(|it| it.to_string()).collect();
    match texts.split_last() {
        Some((last, rest @ [_, ..])) => format!("{} and {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}

/// Whether a call that may have been done may be sent again.
fn may_be_repeated(call: &Call) -> bool {
    match call {
        Call::Range(_) | Call::KeepAlive(_) | Call::Revoke(_) => true,
        Call::Grant { .. } => false,
        Call::Txn(txn) => {
            let mut ops = txn.then.iter().chain(&txn.otherwise);
            ops.all(|op| matches!(op, Op::Range(_)))
        }
    }
}

impl Route {
    fn new(endpoint: Endpoint, secrets: &Secrets, try_max: Duration) -> Route {
        let connect_max = try_max / CONNECT_PARTS;
        let config = Agent::config_builder()
            .proxy(None)
            // The status says what happened, and the body why.
            .http_status_as_error(false)
            // etcd sends nobody elsewhere, and what is sent here is not for others.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("ipseity")
            .timeout_global(Some(try_max))
            .timeout_connect(Some(connect_max))
            .max_response_header_size(HEAD_BYTES_MAX)
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES)
            .max_idle_connections(1)
            .max_idle_age(IDLE_MAX)
            .build();
        let dial = Dial::new(&endpoint, secrets, connect_max);
        Route {
            agent: Agent::with_parts(config, dial, NamesLater),
            endpoint,
            try_max,
        }
    }

    fn post(&self, path: &str, body: &str, token: &Token) -> Result<Reply, Fault> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.endpoint.url()))
            .header("Content-Type", "application/json")
            // A member that has been cut off says so at once, instead of trying until it gives up.
            .header("Grpc-Metadata-hasleader", "true");
        if let Token::Is(token) = token {
            request = request.header("Authorization", token);
        }
        let fault = |error| fault_of(&error, self.try_max);
        let mut response = request.send(body).map_err(fault)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec().map_err(fault)?;
        Ok(match response.status().as_u16() {
            200 => Reply::Good(body),
            status => Reply::Bad(Complaint::new(status, &body)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{KeyRange, Txn};

    #[test]
    fn only_what_changes_nothing_by_a_second_time_may_be_repeated() {
        let range = || KeyRange::Key("a".to_owned());
        let reads = Txn {
            then: vec![Op::Range(range())],
            ..Txn::default()
        };
        let mut writes = reads.clone();
        writes.otherwise = vec![Op::Delete("a".to_owned())];
        let ttl = Duration::from_secs(1);
        for (call, may) in [
            (Call::Range(range()), true),
            (Call::KeepAlive(1), true),
            (Call::Revoke(1), true),
            (Call::Grant { lease: 1, ttl }, false),
            (Call::Txn(reads), true),
            (Call::Txn(writes), false),
        ] {
            assert_eq!(may_be_repeated(&call), may, "{call:?}");
        }
    }
}
