//! The client for tokio.

use std::{collections::VecDeque, sync::Arc};

use ipseity_core::{
    identity::Identity,
    words::{ClusterName, ErrorCode},
};

use super::{
    call::{Call, Line},
    link::Link,
    shared::{Ended, Shared},
    wait::unless,
};
#[cfg(feature = "tls")]
use crate::Dialer;
use crate::{
    Block, ClientError, ClientOptions, Counters, Hooks, ServerAddress,
    judge::Trouble,
    limits::{CLIENT_BLOCK_COUNT, CLIENT_IN_FLIGHT_MAX},
    setup::Setup,
    watch::Watch,
};

/// Identities from one of several servers, for the tasks of tokio: many calls at once on one connection. See the
/// [module](crate::tokio) and the [crate](crate) for what it keeps.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    line: Arc<Line>,
}

impl Client {
    /// A client of these servers, with default options. Nothing is looked up or connected before the first call.
    ///
    /// # Errors
    /// [`ClientError::NoServers`] if there are none, [`ClientError::Address`] if one is not an address.
    pub fn new<A: AsRef<str>>(servers: impl IntoIterator<Item = A>) -> Result<Client, ClientError> {
        Client::with_options(servers, ClientOptions::default())
    }

    /// A client of these servers, with these options.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ClientError::NoTime`] if a time is zero.
    pub fn with_options<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: ClientOptions,
    ) -> Result<Client, ClientError> {
        let setup = Setup::new(servers, options)?;
        Ok(Client::of(setup, Hooks::default(), None))
    }

    /// The same client, for servers of this cluster only. On each new connection the name is sent with the first request, so it
    /// costs no round trip. A server of another cluster ends the call with [`ClientError::WrongCluster`], and none of its
    /// identities is returned.
    #[must_use]
    pub fn cluster(self, name: ClusterName) -> Client {
        self.told(|setup| setup.cluster = Some(name))
    }

    /// The same client, with what it needs for servers at `tls://` addresses: which CAs it believes, and the certificate that
    /// it shows to servers that ask for one. The certificate of the server must be for the name or the address that stands in
    /// the list of servers.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, dialer: Dialer) -> Client {
        self.told(|setup| setup.dialer = Some(dialer))
    }

    /// The same client, which calls these hooks. Its counters begin at 0.
    #[must_use]
    pub fn hooks(self, hooks: Hooks) -> Client {
        Client::of(self.shared.setup.clone(), hooks, self.newest())
    }

    /// A connection that was made before does not do what the client is told now, so there is none after this.
    fn told(self, change: impl FnOnce(&mut Setup)) -> Client {
        let newest = self.newest();
        let mut setup = self.shared.setup.clone();
        change(&mut setup);
        // The owner of a connection that was made before has the hooks too, and ends soon.
        let hooks = self.shared.watch.hooks.clone();
        Client::of(setup, hooks, newest)
    }

    pub(super) fn of(setup: Setup, hooks: Hooks, newest: Option<Identity>) -> Client {
        let watch = Watch {
            hooks,
            ..Watch::default()
        };
        Client {
            shared: Arc::new(Shared::new(setup, watch, newest)),
            line: Arc::default(),
        }
    }

    /// One identity, greater than all that this client had seen when the call began. The call may be cancelled: the identity
    /// is then skipped.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub async fn next(&self) -> Result<Identity, ClientError> {
        self.block(1).await.map(|block| block.first())
    }

    /// `count` identities with one request, all greater than those that this client had seen when the call began. A server
    /// refuses 0, and more than its limit: 1000 unless its operator has set another. The call may be cancelled: the identities
    /// are then skipped.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub async fn block(&self, count: u32) -> Result<Block, ClientError> {
        self.unless_closed(async {
            let mut call = Call::new(&self.shared, &self.line);
            loop {
                let link = call.link().await?;
                let reply = match call.ask(&link, count).await {
                    Ok(reply) => call.receive(reply).await,
                    Err(ended) => Err(ended),
                };
                match reply {
                    Ok(block) => {
                        call.answered(&link);
                        self.shared.watch.identities.add(u64::from(block.count()));
                        return Ok(block);
                    }
                    Err(ended) => call.go_on(&link, ended)?,
                }
            }
        })
        .await
    }

    /// Makes an identity known that came another way: what calls that begin after this one return is greater. An identity
    /// that is not greater than the newest changes nothing. A server refuses an `after` that is too far ahead of its own
    /// sequence ([`ErrorCode::AdvanceTooLarge`]).
    pub fn observe(&self, identity: Identity) {
        self.shared.observe(identity);
    }

    /// The newest identity that this client has seen, received or told by [`observe`](Self::observe).
    pub fn newest(&self) -> Option<Identity> {
        self.shared.newest()
    }

    /// The server that answered last, or is tried first.
    pub fn server(&self) -> &ServerAddress {
        &self.shared.setup.servers[self.shared.current()]
    }

    /// What this client has done since it was made.
    pub fn counters(&self) -> Counters {
        self.shared.watch.counters()
    }

    /// Closes the connection. The calls that are under way, and all later ones, end with [`ClientError::Closed`]. Dropping the
    /// client closes the connection too.
    pub fn close(&self) {
        self.shared.close();
        self.line.hang_up();
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes so many identities, in as many requests as that needs, all of them at once. What has come before an error is in
    /// `blocks`.
    pub(super) async fn refill(
        &self,
        wanted: u32,
        blocks: &mut Vec<Block>,
    ) -> Result<(), ClientError> {
        self.unless_closed(async {
            let mut call = Call::new(&self.shared, &self.line);
            loop {
                let link = call.link().await?;
                match take(&call, &link, wanted, blocks).await {
                    Ok(()) => {
                        call.answered(&link);
                        return Ok(());
                    }
                    Err(ended) => call.go_on(&link, ended)?,
                }
            }
        })
        .await
    }

    async fn unless_closed<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let ended = unless(self.shared.closed(), call).await;
        ended.unwrap_or(Err(ClientError::Closed))
    }
}

impl Drop for Client {
    /// An attempt to connect that is under way ends with it too.
    fn drop(&mut self) {
        self.close();
    }
}

async fn take(
    call: &Call<'_>,
    link: &Link,
    wanted: u32,
    blocks: &mut Vec<Block>,
) -> Result<(), Ended> {
    let mut in_flight = VecDeque::new();
    let here: u32 = blocks.iter().map(Block::count).sum();
    let mut missing = wanted.saturating_sub(here);
    loop {
        let most = link.count_max().unwrap_or(CLIENT_BLOCK_COUNT);
        while missing > 0 && in_flight.len() < CLIENT_IN_FLIGHT_MAX {
            let count = missing.min(most.max(1));
            in_flight.push_back((count, call.ask(link, count).await?));
            missing -= count;
        }
        let Some((count, reply)) = in_flight.pop_front() else {
            return Ok(());
        };
        match call.receive(reply).await {
            Ok(block) => blocks.push(block),
            // The first requests go out before the server has said how many it gives. Now it has.
            Err(Ended::By(Trouble::Answered(reply)))
                if reply.code == ErrorCode::BadCount.get()
                    && link.count_max().is_some_and(|most| most < count) =>
            {
                missing += count;
            }
            Err(ended) => return Err(ended),
        }
    }
}
