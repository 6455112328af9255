//! Takes identities from the servers that it is given, with tokio: two calls at once, and those of a source that tasks share.
//!
//!     cargo run -p ipseity-client --features tokio --example take_tokio -- 127.0.0.1:3264

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    sync::Arc,
};

use ipseity_client::tokio::{Client, Source};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers: Vec<String> = env::args().skip(1).collect();
    let mut output = io::stdout();

    let client = Client::new(&servers)?;
    let (one, block) = tokio::join!(client.next(), client.block(1000));
    writeln!(output, "at once: one, and a block of {}", block?.count())?;

    let source = Arc::new(Source::new(&servers)?);
    source.observe(one?);
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let source = Arc::clone(&source);
        tasks.spawn(async move {
            for _ in 0..1000 {
                source.next().await?;
            }
            Ok::<u32, ipseity_client::ClientError>(1000)
        });
    }
    let taken: Result<u32, _> = tasks.join_all().await.into_iter().sum();
    writeln!(output, "a source: {} identities for four tasks", taken?)?;
    Ok(())
}
