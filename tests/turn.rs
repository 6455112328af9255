//! The loop and the transport in a world where everything can be arranged.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod config;
mod world;

use std::time::Duration;

use ipseity::server::Exit;
use world::{Client, Setup, World, address};

/// A world with one server and one client that is connected to it.
fn pair(setup: Setup) -> (World, Client) {
    let mut world = World::with(setup);
    let client = world.connect(0);
    world.drive();
    (world, client)
}

#[test]
fn every_entry_is_handled_in_the_order_in_which_it_came() {
    let (mut world, mut one) = pair(Setup::new(1));
    let mut other = world.connect(0);
    world.drive();
    one.ask(2);
    other.ask(1);
    one.ask(1);
    world.signal(0);
    world.drive();
    let lines = world.trace(0, "");
    assert_eq!(
        lines[4..],
        [
            "signal",
            "readableWritable connection=0.0",
            "readableWritable connection=1.1",
            // The signal wants what has arrived to be read.
            "readable connection=0.0",
            "readable connection=1.1",
            // Behind all that was there before them.
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=1025 count=1",
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=2049 count=1",
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=3073 count=1",
            "identityRequest connection=1.1 count=1 after=0",
            "> reply connection=1.1 identityReply first=4097 count=1",
            "stop",
            "> persistStop sequence=4",
            "stopPersisted durable=true",
        ]
    );
    assert_eq!(world.exit(0), Some(Exit::Clean));
    assert_eq!(one.sequences(), [1, 2, 3]);
    assert_eq!(other.sequences(), [4]);
}

#[test]
fn two_servers_meet() {
    let mut world = World::new();
    world.net().delay = Duration::from_millis(5);
    world.start(Setup::new(1).peers(&[&address(1).to_string()]));
    world.start(Setup::new(2));
    world.advance(Duration::from_millis(100));
    let mut client = world.connect(1);
    client.ask(5);
    world.advance(Duration::from_millis(1100));
    assert_eq!(client.sequences(), [1, 2, 3, 4, 5]);
    assert_eq!(world.status(0).sequence, 5);
}
