//! The Go server and the Go client of `benches/grpc/main.go`.

use std::{net::SocketAddr, time::Duration};

use ipseity_harness::measured::{Program, line};

use crate::{
    go::Binary,
    load::{Load, Place},
    sample::{Sample, by_its_own_client},
};

/// The running server.
#[derive(Debug)]
pub struct Server<'a> {
    binary: &'a Binary,
    program: Program,
}

impl Server<'_> {
    /// Starts it on a free port.
    pub fn start(binary: &Binary, place: Place) -> Server<'_> {
        let mut all = place.of_server();
        all.extend(line(&[&binary.path(), "serve", "127.0.0.1:0"]));
        Server {
            binary,
            program: Program::start(&all),
        }
    }

    /// One sample, by its own client.
    pub fn measure(&self, mode: &str, load: Load, place: Place, time: Duration) -> Sample {
        let address: SocketAddr = self.program.address();
        let mut all = place.of_clients();
        all.extend(line(&[&self.binary.path(), mode, &address.to_string()]));
        all.extend(line(&[
            &load.connections.to_string(),
            &load.in_flight.to_string(),
            &format!("{}ms", time.as_millis()),
        ]));
        by_its_own_client(&all, |text| text.trim().parse().ok())
    }
}
