//! Connecting to a server by its name, with tasks: the addresses, their order and the delays are those of the blocking client.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
};

use super::wait::within;
use crate::{
    AddressFailure, FailureCause, ServerAddress,
    clock::Deadline,
    dial::{TOO_LATE, delay, interleaved, not_oneself},
};

/// Looks up a server's name, and connects to the first of its addresses that accepts.
pub(super) async fn connect(
    server: &ServerAddress,
    deadline: Deadline,
) -> Result<TcpStream, FailureCause> {
    let addresses = look_up(server, deadline).await?;
    race(&interleaved(&addresses), deadline).await
}

async fn look_up(
    server: &ServerAddress,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, FailureCause> {
    if let Ok(address) = server.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, server.port())]);
    }
    match within(deadline, lookup_host((server.host(), server.port()))).await {
        Some(Ok(addresses)) => Ok(addresses.collect()),
        Some(Err(error)) => Err(FailureCause::Lookup(error)),
        None => Err(FailureCause::LookupTimeout(deadline.limit())),
    }
}

/// The next attempt begins when the last one has failed or has taken its time, and the earlier ones go on meanwhile
/// (RFC 8305, section 5). Those that have not won end with this.
async fn race(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, FailureCause> {
    if addresses.is_empty() {
        return Err(FailureCause::NoAddress);
    }
    let mut attempts = JoinSet::new();
    let mut errors: Vec<Option<io::Error>> = addresses.iter().map(|_| None).collect();
    let mut next = 0;
    // The first attempt is made even if the lookup took the whole time.
    while next == 0 || deadline.left().is_some() {
        if let Some(address) = addresses.get(next).copied() {
            let index = next;
            attempts.spawn(async move { (index, connect_to(address).await) });
            next += 1;
        }
        let left = deadline.left().unwrap_or_default();
        let wait = deadline.and_within(delay(left, addresses.len() - next));
        match within(wait, attempts.join_next()).await {
            Some(Some(Ok((_, Ok(stream))))) => return Ok(stream),
            Some(Some(Ok((index, Err(error))))) => errors[index] = Some(error),
            // All have failed, or the runtime has ended.
            Some(None | Some(Err(_))) if next == addresses.len() => break,
            // It is the turn of the next one, or the time is over.
            Some(None | Some(Err(_))) | None => {}
        }
    }
    let tried = addresses.iter().zip(errors).take(next);
    let failures = tried.map(|(address, error)| AddressFailure {
        address: *address,
        error: error.unwrap_or_else(|| io::Error::new(ErrorKind::TimedOut, TOO_LATE)),
    });
    Err(FailureCause::Connect(failures.collect()))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    not_oneself(stream.local_addr()?, stream.peer_addr()?)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Duration};

    use ipseity_harness::{nobody::Nobody, silent::Silent};

    use super::*;
    use crate::{clock::Stopwatch, limits::ATTEMPT_DELAY};

    /// Far more than a race may take of its own, however busy the machine is.
    const LONG: Duration = Duration::from_secs(120);

    fn failures(result: Result<TcpStream, FailureCause>) -> Vec<(SocketAddr, ErrorKind)> {
        match result {
            Err(FailureCause::Connect(failures)) => failures
                .iter()
                .map(|failure| (failure.address, failure.error.kind()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn silent_addresses_cost_the_delay_and_not_the_time() {
        let silent = Silent::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let stopwatch = Stopwatch::start();
        let addresses = [silent.socket_address(), good];
        let stream = race(&addresses, Deadline::within(LONG)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(stopwatch.elapsed() < LONG / 3);
        assert!(stopwatch.elapsed() >= ATTEMPT_DELAY);
    }

    #[tokio::test]
    async fn when_no_address_accepts_each_is_told_with_its_reason() {
        let (silent, nobody) = (Silent::new(), Nobody::new());
        let dead: SocketAddr = nobody.address().parse().unwrap();
        let addresses = [silent.socket_address(), dead];
        // Long enough that the second attempt begins in time on a busy machine.
        let short = Deadline::within(Duration::from_secs(3));
        assert_eq!(
            failures(race(&addresses, short).await),
            [
                (addresses[0], ErrorKind::TimedOut),
                (dead, ErrorKind::ConnectionRefused)
            ]
        );
        // If all of them refuse, the end of the time is not waited for.
        let stopwatch = Stopwatch::start();
        let refused = failures(race(&[dead, dead], Deadline::within(LONG)).await);
        assert_eq!(refused, [(dead, ErrorKind::ConnectionRefused); 2]);
        assert!(stopwatch.elapsed() < LONG / 3);
        let none = race(&[], Deadline::within(LONG)).await;
        assert!(matches!(none, Err(FailureCause::NoAddress)), "{none:?}");
    }
}
