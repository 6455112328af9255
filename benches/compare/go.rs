//! Programs in Go, built with the Go packages of the distribution.

use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where Debian and Ubuntu put the sources of Go packages.
const GO_PATH: &str = "/usr/share/gocode";

/// What the compiler keeps, so that only the first program waits until gRPC is compiled.
const GO_CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache");

/// A program, in a directory that is removed with it.
#[derive(Debug)]
pub struct Binary(TempDir);

impl Binary {
    /// Builds `main.go` of this folder of `benches`, which needs gRPC, or prints why it cannot.
    pub fn build(folder: &str) -> Option<Binary> {
        let binary = Binary(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let source = format!("{}/benches/{folder}/main.go", env!("CARGO_MANIFEST_DIR"));
        let outcome = Command::new("go")
            .args(["build", "-o", &binary.path(), &source])
            .env("GO111MODULE", "off")
            .env("GOPATH", GO_PATH)
            .env("GOCACHE", GO_CACHE)
            .stdin(Stdio::null())
            .output();
        let why = match outcome {
            Ok(output) if output.status.success() => return Some(binary),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        println!(
            "Not measured: benches/{folder}/main.go, because it needs the packages golang-go and golang-google-grpc-dev \
             ({}).\n",
            why.lines().next().unwrap_or_default()
        );
        None
    }

    /// Its file.
    pub fn path(&self) -> String {
        self.0.path().join("main").display().to_string()
    }
}
