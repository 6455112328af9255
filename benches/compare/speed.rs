//! The tables of throughput and of processor time.

use ipseity_client::{Client, ClientOptions};

use ipseity_baselines::Baseline;

use crate::{
    go::Binary,
    grpc,
    load::{Load, Place},
    sample::{self, Plan, Sample, Samples, alternate, grouped, ratio},
    subject::{Disk, Subject},
};

/// How many clients a comparison has, unless it says otherwise.
const CLIENTS: usize = 50;

fn requests(sample: &Sample) -> f64 {
    sample.requests
}

fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

/// Against the raw loop: how close Ipseity comes to the fastest possible server.
pub fn floor(plan: &Plan) {
    println!("### Against a poll loop that ignores what it receives\n");
    println!(
        "Both ends on one CPU; median (least to most) of {} alternating rounds. Here the client does not look at \
         identities, because the floor has none; so it does the same work for both. The goals: requests a \
         second at least, and CPU time a request at most, this many times the floor's.\n",
        plan.rounds
    );
    println!(
        "| connections x in flight | Ipseity, requests/s | floor, requests/s | ratio | goal | Ipseity, \
         CPU µs | floor, CPU µs | ratio | goal |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (load, goal, cpu_goal) in [
        (Load::new(1, 1), "0.97", "1.03"),
        (Load::new(50, 1), "0.97", "1.03"),
        (Load::new(1000, 1), "0.97", "1.03"),
        (Load::new(50, 16), "0.95", ""),
        (Load::new(50, 64), "0.97", ""),
        (Load::new(50, 256), "0.90", ""),
    ] {
        let subjects = [Subject::Unchecked, Subject::Essay(Baseline::Raw)];
        let [ours, raw] = &alternate(&subjects, load, Place::OneCpu, plan)[..] else {
            unreachable!("each subject has samples");
        };
        println!(
            "| {load} | {} | {} | {:.3} | {goal} | {} | {} | {:.3} | {cpu_goal} |",
            ours.show(requests, 0),
            raw.show(requests, 0),
            ratio(ours, raw, requests),
            ours.show(cpu, 3),
            raw.show(cpu, 3),
            ratio(ours, raw, cpu),
        );
    }
    println!();
}

/// Against the counters of Redis and memcached, which are in memory, while Ipseity is durable.
pub fn others(plan: &Plan) {
    println!("### Against Redis INCR and memcached incr, both without a disk\n");
    println!(
        "Ipseity is durable. Both ends on one CPU; {} alternating rounds. The ratios say how many times as many \
         requests Ipseity answers, and how many times less CPU time it needs for a request.\n",
        plan.rounds
    );
    let goals: [(Subject, [(&str, &str); 4]); 2] = [
        (
            Subject::Redis(Disk::None),
            [("1.15", "1.2"), ("1.7", "2.2"), ("3.4", "5.4"), ("8", "14")],
        ),
        (
            Subject::Memcached,
            [("1.05", ""), ("1.8", ""), ("2.7", ""), ("5.5", "")],
        ),
    ];
    let loads = [1, 16, 64, 256].map(|in_flight| Load::new(CLIENTS, in_flight));
    against(&goals, &loads, plan);
}

/// Against Redis with a disk.
pub fn disk(plan: &Plan) {
    println!("### Against Redis with a disk\n");
    println!("As above, but Redis also appends to a file.\n");
    let goals = [
        (Subject::Redis(Disk::EverySecond), [("2.4", "")]),
        (Subject::Redis(Disk::Always), [("4.4", "")]),
    ];
    against(&goals, &[Load::new(CLIENTS, 16)], plan);
}

fn against<const N: usize>(
    others: &[(Subject, [(&str, &str); N])],
    loads: &[Load; N],
    plan: &Plan,
) {
    let others: Vec<_> = others
        .iter()
        .filter(|(subject, _)| subject.is_here())
        .collect();
    println!(
        "| against | connections x in flight | Ipseity, requests/s | the other, requests/s | ratio | \
         goal | Ipseity, CPU µs | the other, CPU µs | ratio | goal |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (place, load) in loads.iter().enumerate() {
        let mut subjects = vec![Subject::Ipseity];
        subjects.extend(others.iter().map(|(subject, _)| *subject));
        let samples = alternate(&subjects, *load, Place::OneCpu, plan);
        let (ours, theirs) = samples.split_first().unwrap();
        for ((subject, goals), other) in others.iter().zip(theirs) {
            let (goal, cpu_goal) = goals[place];
            println!(
                "| {} | {load} | {} | {} | {:.2} | {goal} | {} | {} | {:.2} | {cpu_goal} |",
                subject.name(),
                ours.show(requests, 0),
                other.show(requests, 0),
                ratio(ours, other, requests),
                ours.show(cpu, 3),
                other.show(cpu, 3),
                ratio(other, ours, cpu),
            );
        }
    }
    println!();
}

/// Two servers side by side.
struct Pair {
    samples: [Samples; 2],
    /// How many requests the first got, and how many of them waited until its store had a higher ceiling.
    requests: u64,
    waited: u64,
}

impl Pair {
    fn measure(subjects: [Subject; 2], load: Load, plan: &Plan) -> Pair {
        let servers = subjects.map(|subject| subject.start(Place::OneCpu));
        let mut samples = [Samples::default(), Samples::default()];
        for _ in 0..plan.rounds {
            for (server, samples) in servers.iter().zip(&mut samples) {
                let sample = sample::measure(server, load, Place::OneCpu, plan.sample, plan.warmup);
                samples.0.push(sample);
            }
        }
        let address = servers[0].address().to_string();
        let client = Client::with_options([address], ClientOptions::one_round()).unwrap();
        let counters = client.status().unwrap().counters;
        Pair {
            samples,
            requests: counters.identity_requests,
            waited: counters.waited,
        }
    }

    /// Requests a second of the first, of the second, and their ratio, as cells of a table.
    fn show(&self) -> String {
        let [one, other] = &self.samples;
        format!(
            "{} | {} | {:.3}",
            one.show(requests, 0),
            other.show(requests, 0),
            ratio(one, other, requests)
        )
    }

    /// The part of the requests that waited.
    fn show_waited(&self) -> String {
        let (waited, requests) = (self.waited as f64, self.requests as f64);
        format!(
            "{:.4} % ({} of {})",
            100.0 * waited / requests,
            grouped(waited, 0),
            grouped(requests, 0)
        )
    }
}

/// How much the disk costs.
pub fn durable(plan: &Plan) {
    println!("### Durable against `--ephemeral`\n");
    println!(
        "Both ends on one CPU; {} alternating rounds.\n",
        plan.rounds
    );
    println!(
        "| connections x in flight | durable, requests/s | ephemeral, requests/s | ratio | goal | waited for \
         the disk | goal |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for load in [1, 16, 64].map(|in_flight| Load::new(CLIENTS, in_flight)) {
        let pair = Pair::measure([Subject::Ipseity, Subject::Ephemeral], load, plan);
        println!(
            "| {load} | {} | 0.95 | {} | 0.1 % |",
            pair.show(),
            pair.show_waited()
        );
    }
    println!();
}

/// How many identities the blocks of [`store`] have.
const BLOCK: u32 = 1000;

/// Whether it costs anything that the state is in etcd.
pub fn store(plan: &Plan) {
    println!("### With a store in etcd, against one on the disk\n");
    if !Subject::Stored.is_here() {
        return;
    }
    println!(
        "Both ends on one CPU; {} alternating rounds. The etcd has one member, on the same machine and the same disk. It is \
         not pinned.\n",
        plan.rounds
    );
    println!(
        "| connections x in flight | identities in a request | etcd, requests/s | disk, requests/s | ratio | goal | \
         waited for etcd |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for count in [1, BLOCK] {
        for in_flight in [1, 16, 64] {
            let load = Load {
                count,
                ..Load::new(CLIENTS, in_flight)
            };
            let pair = Pair::measure([Subject::Stored, Subject::Ipseity], load, plan);
            println!(
                "| {load} | {count} | {} | 0.95 | {} |",
                pair.show(),
                pair.show_waited()
            );
        }
    }
    println!();
}

/// How much a block costs.
pub fn blocks(plan: &Plan) {
    println!("### Blocks\n");
    println!(
        "{CLIENTS} x 16, durable, both ends on one CPU; {} rounds.\n",
        plan.rounds
    );
    println!("| identities in a request | requests/s | identities/s | goal |");
    println!("| ---: | ---: | ---: | ---: |");
    for (count, goal) in [(1, ""), (10, ""), (100, ""), (1000, "900,000,000")] {
        let load = Load {
            count,
            ..Load::new(CLIENTS, 16)
        };
        let samples = &alternate(&[Subject::Ipseity], load, Place::OneCpu, plan)[0];
        println!(
            "| {count} | {} | {} | {goal} |",
            samples.show(requests, 0),
            grouped(samples.median(requests) * f64::from(count), 0)
        );
    }
    println!();
}

/// Against a Go server with gRPC. It takes the place of the essay author's server, which is not public in this form.
pub fn grpc(plan: &Plan) {
    println!("### Against an actor in Go behind gRPC\n");
    let Some(program) = Binary::build("grpc") else {
        return;
    };
    println!(
        "In `benches/grpc/main.go`, one goroutine owns the counter, behind a channel of 1,024. Its own client, in Go, \
         makes unary calls, or uses one stream for each client. `ipseity-cli bench` asks Ipseity, which is \
         durable. Both ends on one CPU; {} alternating rounds.\n",
        plan.rounds
    );
    println!(
        "| gRPC | connections x in flight | Ipseity, requests/s | Go, requests/s | ratio | goal |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for (mode, in_flight, goal) in [("unary", 1, "5"), ("stream", 1, ""), ("stream", 64, "25")] {
        let load = Load::new(CLIENTS, in_flight);
        let ours = Subject::Ipseity.start(Place::OneCpu);
        let theirs = grpc::Server::start(&program, Place::OneCpu);
        let (mut our_samples, mut their_samples) = (Samples::default(), Samples::default());
        for _ in 0..plan.rounds {
            our_samples.0.push(sample::measure(
                &ours,
                load,
                Place::OneCpu,
                plan.sample,
                plan.warmup,
            ));
            their_samples
                .0
                .push(theirs.measure(mode, load, Place::OneCpu, plan.sample));
        }
        println!(
            "| {mode} | {load} | {} | {} | {:.1} | {goal} |",
            our_samples.show(requests, 0),
            their_samples.show(requests, 0),
            ratio(&our_samples, &their_samples, requests),
        );
    }
    println!();
}

/// The kinds of servers in the essay, and the real server.
pub fn essay(plan: &Plan) {
    println!("### The servers of the essay\n");
    println!(
        "{CLIENTS} clients; {} alternating rounds. On one CPU, server and clients share it. On all CPUs nothing is \
         pinned, so servers with threads can use more than one.\n",
        plan.rounds
    );
    println!(
        "| server | in flight | one CPU, requests/s | CPU µs | all CPUs, requests/s | CPU µs | p99 µs |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for in_flight in [1, 16] {
        let load = Load::new(CLIENTS, in_flight);
        let pinned = alternate(&ESSAY, load, Place::OneCpu, plan);
        let free = alternate(&ESSAY, load, Place::Free, plan);
        for ((subject, pinned), free) in ESSAY.iter().zip(&pinned).zip(&free) {
            println!(
                "| {} | {in_flight} | {} | {} | {} | {} | {} |",
                subject.name(),
                pinned.show(requests, 0),
                pinned.show(cpu, 3),
                free.show(requests, 0),
                free.show(cpu, 3),
                free.show(|sample| sample.p99_us, 0),
            );
        }
    }
    println!();
}

/// The servers of the essay. The real server has no disk here, like the others.
pub const ESSAY: [Subject; 5] = [
    Subject::Ephemeral,
    Subject::Essay(Baseline::Simple),
    Subject::Essay(Baseline::Sequence),
    Subject::Essay(Baseline::Locker),
    Subject::Essay(Baseline::Channel),
];
