//! Takes identities from the servers that it is given: one, a block, and those of a source that four threads share.
//!
//!     cargo run -p ipseity-client --example take -- 127.0.0.1:3264

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    thread,
};

use ipseity_client::{Client, Source};

fn main() -> Result<(), Box<dyn Error>> {
    let servers: Vec<String> = env::args().skip(1).collect();
    let mut output = io::stdout();

    let client = Client::new(&servers)?;
    let one = client.next()?;
    writeln!(
        output,
        "one: {one} is sequence {} of pid {}",
        one.sequence(),
        one.pid()
    )?;
    let block = client.block(1000)?;
    writeln!(output, "a block: {} to {}", block.first(), block.last())?;

    let source = Source::new(&servers)?;
    source.observe(block.last());
    let taken: Result<usize, _> = thread::scope(|scope| {
        let take = || {
            (0..1000)
                .map(|_| source.next())
                .collect::<Result<Vec<_>, _>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        let taken = threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"));
        taken.map(|taken| taken.map(|taken| taken.len())).sum()
    });
    writeln!(output, "a source: {} identities for four threads", taken?)?;
    Ok(())
}
