//! The Go server and the Go client of `benches/grpc/main.go`, built with the Go packages of the distribution.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use ipseity_harness::measured::{Program, line};
use tempfile::TempDir;

use crate::{
    load::{Load, Place},
    sample::Sample,
};

/// Where Debian and Ubuntu put the sources of Go packages.
const GO_PATH: &str = "/usr/share/gocode";

/// The program, in a directory that is removed with it.
#[derive(Debug)]
pub struct Binary(TempDir);

impl Binary {
    fn path(&self) -> String {
        self.0.path().join("grpc").display().to_string()
    }
}

/// Builds the program, or prints why it cannot.
pub fn build() -> Option<Binary> {
    let binary = Binary(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/grpc/main.go");
    let outcome = Command::new("go")
        .args(["build", "-o", &binary.path(), source])
        .env("GO111MODULE", "off")
        .env("GOPATH", GO_PATH)
        .env("GOCACHE", binary.0.path().join("cache"))
        .stdin(Stdio::null())
        .output();
    let why = match outcome {
        Ok(output) if output.status.success() => return Some(binary),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    println!(
        "Not measured: it needs the packages golang-go and golang-google-grpc-dev ({}).\n",
        why.lines().next().unwrap_or_default()
    );
    None
}

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
        let output = Command::new(&all[0]).args(&all[1..]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{} failed: {text}{}",
            all.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Sample {
            requests: text.trim().parse().unwrap(),
            cpu_us: f64::NAN,
            p50_us: f64::NAN,
            p99_us: f64::NAN,
            p99_9_us: f64::NAN,
        }
    }
}
