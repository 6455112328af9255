//! How soon many servers agree, and what it costs. This makes docs/scale.md and docs/scale.svg.
//!
//! `cargo test --release --test simulation scale -- --ignored` measures everything and writes both again. The ordinary
//! tests measure the small clusters, and compare them with the page and the theory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ipseity_core::words::Message;
use ipseity_sim::study::{
    INTERVAL, Plan, all_plans, measure_all, measure_intervals, plot, tables, theory, with_tables,
};
use ipseity_sim::world::{Setup, World, address};

/// The largest cluster of the page.
const SERVERS_MAX: usize = 1000;

/// The largest cluster that the ordinary tests measure.
const SERVERS_OF_A_TEST: usize = 10;

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
#[ignore = "takes minutes: it writes docs/scale.md and docs/scale.svg"]
fn write_the_page() {
    let rows = measure_all(&all_plans(SERVERS_MAX));
    for row in &rows {
        hold_to_theory(row.servers, row.fanout, &row.measured[0].intervals);
    }
    let page = path("docs/scale.md");
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, with_tables(&text, &tables(&rows))).unwrap();
    fs::write(path("docs/scale.svg"), plot(&rows).unwrap()).unwrap();
}

#[test]
fn the_page_shows_what_is_measured() {
    let page = fs::read_to_string(path("docs/scale.md")).unwrap();
    let rows = measure_all(&all_plans(SERVERS_OF_A_TEST));
    for row in &rows {
        // A request and a reply for each peer that is asked; some are under way when the time is over.
        let messages = 2 * row.servers * row.fanout.unwrap_or(row.servers - 1);
        let measured = row.measured[0].messages;
        assert!(
            (measured / messages as f64 - 1.0).abs() < 0.05,
            "{measured}"
        );
    }
    for (heading, lines) in tables(&rows) {
        let shown: Vec<&str> = page
            .lines()
            .skip_while(|line| *line != heading)
            .skip(2)
            .take(lines.len())
            .collect();
        assert_eq!(
            shown, lines,
            "left: docs/scale.md, right: now; to write it again: \
             cargo test --release --test simulation scale -- --ignored"
        );
    }
}

/// A cluster of the page without loss.
fn without_loss(servers: usize, fanout: Option<usize>) -> Plan {
    Plan {
        servers,
        fanout,
        loss_percent: 0,
    }
}

#[test]
fn every_server_learns_a_sequence_as_soon_as_theory_says() {
    let larger = [(30, Some(1)), (30, Some(4)), (100, Some(1))];
    for (servers, fanout) in all_plans(SERVERS_OF_A_TEST).into_iter().chain(larger) {
        let intervals = measure_intervals(without_loss(servers, fanout));
        hold_to_theory(servers, fanout, &intervals);
    }
}

/// Without loss nothing takes longer than the theory says.
fn hold_to_theory(servers: usize, fanout: Option<usize>, intervals: &[f64]) {
    let longest = *intervals.last().unwrap();
    let bound = match fanout {
        // The promise: one interval and a round trip, of at most 3 ms.
        None => 1.003,
        // A round is under way when the measurement begins.
        Some(_) => theory(servers, fanout) + 1.0,
    };
    assert!(
        longest <= bound,
        "{servers} servers, fanout {fanout:?}: {longest} rounds, more than {bound}"
    );
}

#[test]
fn loss_costs_time_but_leaves_no_server_behind() {
    for (servers, fanout) in [(10, Some(1)), (10, None), (30, Some(4))] {
        for loss_percent in [10, 50, 80] {
            // This panics if a server is left behind or objected to.
            let intervals = measure_intervals(Plan {
                servers,
                fanout,
                loss_percent,
            });
            assert_eq!(intervals.len(), 100);
        }
    }
}

#[test]
fn whole_servers_agree_as_soon_as_bare_actors_do() {
    const SERVERS: usize = 10;
    for fanout in [Some(1), Some(4), None] {
        let mut world = servers(SERVERS, fanout);
        let mut took = Vec::new();
        for origin in (0..SERVERS).cycle().take(20) {
            // Each time at another moment of the interval.
            world.advance(INTERVAL * 13 / 30);
            let start = world.now();
            let mut client = world.connect(origin);
            client.ask(1);
            let Message::IdentityReply { first, .. } = world.reply_of(&mut client) else {
                panic!("no identity");
            };
            drop(client);
            let sequence = first >> 10;
            while (0..SERVERS).any(|server| world.status(server).sequence < sequence) {
                world.advance(10 * DELAY);
            }
            took.push(world.now().since(start).as_secs_f64() / INTERVAL.as_secs_f64());
        }
        let actors = measure_intervals(without_loss(SERVERS, fanout));
        let (whole, actors) = (mean(&took), mean(&actors));
        // Reading the status of ten servers takes about 40 ms of virtual time, and both means are of few samples.
        assert!(
            (whole - actors).abs() < 0.25,
            "fanout {fanout:?}: {whole} rounds, and of actors alone {actors}"
        );
    }
}

/// How long everything takes from one whole server to another: the mean delay of the study.
const DELAY: Duration = Duration::from_millis(1);

/// This many whole servers that name each other, each with rounds at its own time in the interval.
fn servers(count: usize, fanout: Option<usize>) -> World {
    let mut world = World::new();
    world.net().delay = DELAY;
    for number in 0..count {
        let others = (0..count).filter(|other| *other != number);
        let others: Vec<String> = others.map(|other| address(other).to_string()).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let mut setup = Setup::new(number as u16 + 1).peers(&others);
        setup.actor.fanout = fanout.unwrap_or(count);
        world.start(setup);
        // In no regular order.
        world.advance(INTERVAL * (number as u32 * 7 % 10) / 13);
    }
    // The first ones found nobody and dial again.
    world.advance(10 * INTERVAL);
    world
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}
