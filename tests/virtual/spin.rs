//! When the loop looks again before it sleeps, in virtual time.

use std::time::Duration;

use ipseity::{
    limits::{SPIN_DEFAULT, SPIN_TRIAL_TURNS, SPINS_RECORDED},
    server::Exit,
};
use ipseity_core::words::SpinStatus;
use ipseity_sim::world::{Client, DiskMode, Setup, World};

const US: Duration = Duration::from_micros(1);

/// More turns than it takes until a loop spins behind each of them.
const MANY: u32 = (SPINS_RECORDED / 2 + 2) * SPIN_TRIAL_TURNS;

fn setup(cpus: usize) -> Setup {
    let mut setup = Setup::new(1).disk(DiskMode::Takes(Duration::ZERO), 1_000_000);
    setup.spin = Some(SPIN_DEFAULT);
    setup.cpus = cpus;
    setup
}

/// A client that gets its answer and asks again after `pause`, so many times.
fn ask(world: &mut World, client: &mut Client, times: u32, pause: Duration) {
    for _ in 0..times {
        client.ask(1);
        world.drive();
        assert_eq!(client.sequences().len(), 1);
        world.advance(pause);
    }
}

/// A world in which the loop spins just now.
fn spinning() -> (World, Client) {
    let mut world = World::with(setup(2));
    let mut client = world.connect(0);
    ask(&mut world, &mut client, MANY, 5 * US);
    assert!(world.spins(0));
    (world, client)
}

fn spun(world: &mut World) -> SpinStatus {
    world.status(0).spin
}

#[test]
fn it_spins_while_clients_ask_again_at_once_and_sleeps_when_they_are_gone() {
    let (mut world, mut client) = spinning();
    let before = spun(&mut world);
    ask(&mut world, &mut client, 1000, 5 * US);
    let after = spun(&mut world);
    assert!(after.spins - before.spins >= 999, "{before:?} {after:?}");
    assert!(after.met - before.met >= 999, "{before:?} {after:?}");
    world.advance(SPIN_DEFAULT + 2 * US);
    assert!(!world.spins(0));
    let slept = spun(&mut world);
    world.advance(Duration::from_secs(3600));
    assert_eq!(spun(&mut world), slept, "nobody asks, so nothing is tried");
}

#[test]
fn it_gives_up_where_requests_come_later_than_it_looks() {
    let (mut world, mut client) = spinning();
    ask(&mut world, &mut client, SPINS_RECORDED, 1000 * US);
    let before = spun(&mut world);
    ask(&mut world, &mut client, 10 * SPIN_TRIAL_TURNS, 1000 * US);
    let after = spun(&mut world);
    assert_eq!(
        (after.spins - before.spins, after.met - before.met),
        (10, 0)
    );
    // Each took no longer than it may, and no longer than a look more.
    let took = Duration::from_micros(after.took_us - before.took_us);
    assert!(took <= 10 * (SPIN_DEFAULT + US), "{took:?}");
}

#[test]
fn with_one_cpu_and_when_it_is_off_it_never_spins() {
    let mut off = setup(2);
    off.spin = None;
    for setup in [setup(1), off] {
        let mut world = World::with(setup);
        let mut client = world.connect(0);
        ask(&mut world, &mut client, MANY, 5 * US);
        assert_eq!(spun(&mut world), SpinStatus::default());
    }
}

#[test]
fn a_stop_is_not_late() {
    let (mut world, mut client) = spinning();
    client.ask(1);
    world.advance(5 * US);
    assert!(world.spins(0));
    world.signal(0);
    let waited = world.advance_until(Duration::from_secs(1), |world| world.exit(0).is_some());
    assert_eq!((waited, world.exit(0)), (Duration::ZERO, Some(Exit::Clean)));
    assert_eq!(client.sequences().len(), 1);
}

#[test]
fn a_timer_is_not_late() {
    let (mut world, client) = spinning();
    drop(client);
    // From the next start on a timer comes due again and again, mostly while the loop spins.
    let every = 7 * US;
    world.node(0).notify_every = Some(every);
    world.kill(0);
    world.restart(0);
    let mut client = world.connect(0);
    ask(&mut world, &mut client, MANY, 15 * US);
    assert!(world.spins(0));
    let (begun, told) = (world.now(), world.node(0).notices.len());
    ask(&mut world, &mut client, 100, 15 * US);
    let took = world.now().since(begun);
    let told = world.node(0).notices.len() - told;
    // None waits for longer than until the next look.
    let least = took.as_micros() / (every + US).as_micros();
    assert!(told as u128 >= least, "{told} in {took:?}");
}
