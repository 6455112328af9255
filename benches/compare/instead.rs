//! What many have already and use for such numbers: a sequence of PostgreSQL, and the revision of etcd.

use std::time::Duration;

use ipseity_harness::{etcd::Etcd, measured::line};

use crate::{
    go::Binary,
    load::{Load, Place},
    postgres::Postgres,
    sample::{self, Plan, Sample, Samples, by_its_own_client, ratio},
    subject::{Running, Subject, is_installed, start_etcd},
};

/// A server, and how it is asked.
enum Server<'a> {
    Ipseity(Box<Running>),
    Postgres(Postgres),
    Etcd(Etcd, &'a Binary),
}

/// Measures all of them in the same rounds, on one CPU and on all.
pub fn instead(plan: &Plan) {
    println!("### Against nextval of PostgreSQL and a put of etcd\n");
    let load = Load::new(50, 1);
    println!(
        "{load}; all keep their state on the same disk, and all are asked by TCP. `pgbench` asks PostgreSQL, with one \
         thread and prepared statements. `benches/etcd/main.go` asks an etcd of one member by gRPC for a put of one key. \
         `ipseity-cli bench` asks Ipseity. On one CPU, server and clients share it. On all CPUs nothing is pinned, so \
         servers with several processes or threads can use more than one. The ratios say how many times as many requests \
         Ipseity answers; {} alternating rounds.\n",
        plan.rounds
    );
    let go = client_of_etcd();
    let mut why_not = None;
    let places = [Place::OneCpu, Place::Free];
    let tables = places.map(|place| {
        let mut servers = vec![Server::Ipseity(Box::new(Subject::Ipseity.start(place)))];
        match Postgres::start(place) {
            Ok(server) => servers.push(Server::Postgres(server)),
            Err(why) => why_not = Some(why),
        }
        servers.extend(go.as_ref().map(|go| Server::Etcd(start_etcd(place), go)));
        let mut samples = vec![Samples::default(); servers.len()];
        for _ in 0..plan.rounds {
            for (server, samples) in servers.iter().zip(&mut samples) {
                samples.0.push(server.measure(load, place, plan));
            }
        }
        let names: Vec<&str> = servers.iter().map(Server::name).collect();
        (names, samples)
    });
    if let Some(why) = why_not {
        println!("Not measured: PostgreSQL, because {why}.\n");
    }
    let [(names, pinned), (on_all, free)] = &tables;
    assert_eq!(names, on_all, "the same servers run in both places");
    println!("| server | one CPU, requests/s | ratio | all CPUs, requests/s | ratio |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (place, name) in names.iter().enumerate() {
        let cells = [pinned, free].map(|samples| {
            let ratio = ratio(&samples[0], &samples[place], requests);
            let shown = samples[place].show(requests, 0);
            match place {
                0 => format!("{shown} |"),
                _ => format!("{shown} | {ratio:.1}"),
            }
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
    println!();
}

/// The program that asks etcd, or `None` and a line that says why not.
fn client_of_etcd() -> Option<Binary> {
    if !is_installed("etcd") {
        println!(
            "Not measured: etcd, because the package etcd-server or etcd-client is not installed.\n"
        );
        return None;
    }
    Binary::build("etcd")
}

impl Server<'_> {
    fn name(&self) -> &'static str {
        match self {
            Server::Ipseity(_) => "Ipseity",
            Server::Postgres(_) => "PostgreSQL, `nextval`",
            Server::Etcd(..) => "etcd, a put",
        }
    }

    fn measure(&self, load: Load, place: Place, plan: &Plan) -> Sample {
        match self {
            Server::Ipseity(server) => {
                sample::measure(server, load, place, plan.sample, plan.warmup)
            }
            Server::Postgres(server) => server.measure(load, plan.sample),
            Server::Etcd(server, client) => puts(server, client, load, place, plan.sample),
        }
    }
}

/// One sample of etcd.
fn puts(server: &Etcd, client: &Binary, load: Load, place: Place, time: Duration) -> Sample {
    let mut all = place.of_clients();
    all.extend(line(&[
        &client.path(),
        &server.endpoints()[0].to_string(),
        &load.connections.to_string(),
        &format!("{}ms", time.as_millis()),
    ]));
    by_its_own_client(&all, |text| text.trim().parse().ok())
}

fn requests(sample: &Sample) -> f64 {
    sample.requests
}
