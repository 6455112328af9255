//! A run of the kit: builds the clients, and gives each of them every vector, scenario and load. Scenarios wait more
//! than they compute, so many run at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use crate::{
    adapter::Adapter,
    certificates::Certificates,
    clients::Client,
    exam, load,
    names::Names,
    perform::{Outcome, perform},
    scenario::Scenario,
    stage::Props,
    table::{Cell, Table},
};

/// How many clients are under load at a time, each with two loads of three servers.
const LOADS_AT_ONCE: usize = 2;

/// What is run.
pub struct Plan {
    pub clients: Vec<Client>,
    pub scenarios: Vec<Scenario>,
    /// The files of vectors.
    pub vectors: Vec<&'static str>,
    pub loads: Vec<load::Kind>,
    pub load_times: load::Times,
    /// How many scenarios run at a time.
    pub jobs: usize,
    /// Whether the clients are built first.
    pub builds: bool,
    /// Whether each result is told when it is there.
    pub tells: bool,
}

/// A row of the table.
#[derive(Clone, Copy)]
enum Task<'a> {
    Vectors(&'static str),
    Scenario(&'a Scenario),
}

impl Task<'_> {
    fn row(&self) -> String {
        match self {
            Task::Vectors(file) => vectors_row(file),
            Task::Scenario(scenario) => scenario.name.clone(),
        }
    }

    fn needs_names(&self) -> bool {
        match self {
            Task::Vectors(_) => false,
            Task::Scenario(scenario) => scenario.spots().next().is_some(),
        }
    }
}

/// The row of a file of vectors.
pub fn vectors_row(file: &str) -> String {
    format!("vectors-{file}")
}

/// Runs it all.
pub fn run(plan: &Plan) -> Table {
    let vectors = plan.vectors.iter().map(|file| Task::Vectors(file));
    let mut tasks: Vec<Task<'_>> = vectors
        .chain(plan.scenarios.iter().map(Task::Scenario))
        .collect();
    // An adapter either knows the names of the kit or not, and to start one takes longer than most scenarios.
    tasks.sort_by_key(Task::needs_names);
    let mut rows: Vec<String> = tasks.iter().map(Task::row).collect();
    rows.extend(plan.loads.iter().map(|kind| kind.row()));
    let mut table = Table::new(rows);
    let mut ready = Vec::new();
    for client in &plan.clients {
        let missing = client.missing();
        if !missing.is_empty() {
            table.skip(&client.name, &format!("it needs {}", missing.join(" and ")));
            continue;
        }
        table.column(&client.name);
        ready.push(client);
    }
    let (ready, broken) = match plan.builds {
        true => build(&ready),
        false => (ready, Vec::new()),
    };
    for (client, reason) in broken {
        let outcome = Outcome::Failed(reason);
        let (took, note) = (Duration::ZERO, String::new());
        table.set(
            &client.name,
            "build",
            Cell {
                outcome,
                took,
                note,
            },
        );
    }
    let table = Mutex::new(table);
    let board = Board {
        table,
        tells: plan.tells,
    };
    let props = Props {
        certificates: Certificates::new(),
        names: Names::of(&plan.scenarios),
    };
    let queue: Mutex<VecDeque<(&Client, Task<'_>)>> = Mutex::new(
        ready
            .iter()
            .flat_map(|client| tasks.iter().map(|task| (*client, *task)))
            .collect(),
    );
    thread::scope(|scope| {
        for _ in 0..plan.jobs {
            scope.spawn(|| work(&queue, &props, &board));
        }
    });
    for some in ready.chunks(LOADS_AT_ONCE) {
        thread::scope(|scope| {
            for (client, kind) in some
                .iter()
                .flat_map(|client| plan.loads.iter().map(move |kind| (client, kind)))
            {
                let (board, certificates) = (&board, &props.certificates);
                scope.spawn(move || {
                    let began = Instant::now();
                    let run = || load::run(client, *kind, certificates, plan.load_times);
                    let (outcome, note) = catch_unwind(AssertUnwindSafe(run))
                        .unwrap_or_else(|panic| (Outcome::Failed(text_of(&panic)), String::new()));
                    let took = began.elapsed();
                    board.set(
                        &client.name,
                        &kind.row(),
                        Cell {
                            outcome,
                            took,
                            note,
                        },
                    );
                });
            }
        });
    }
    board
        .table
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Builds all clients, each folder once: those that work, and the others with the reason.
fn build<'a>(clients: &[&'a Client]) -> (Vec<&'a Client>, Vec<(&'a Client, String)>) {
    let mut built: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    let (mut ready, mut broken) = (Vec::new(), Vec::new());
    for client in clients {
        let key = format!(
            "{} {:?} {:?}",
            client.directory.display(),
            client.build,
            client.env
        );
        match built.entry(key).or_insert_with(|| client.build()) {
            Ok(()) => ready.push(*client),
            Err(reason) => broken.push((*client, reason.clone())),
        }
    }
    (ready, broken)
}

struct Board {
    table: Mutex<Table>,
    tells: bool,
}

impl Board {
    fn set(&self, client: &str, row: &str, cell: Cell) {
        if self.tells {
            let word = match &cell.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::Unsupported(_) => "not in the language",
                Outcome::Skipped(_) => "SKIPPED",
            };
            let line = format!("{client}, {row}: {word} ({} ms)\n", cell.took.as_millis());
            // Nobody has to read it.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        lock(&self.table).set(client, row, cell);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Takes tasks until there are no more. An adapter is used for one after the other, until it fails.
fn work(queue: &Mutex<VecDeque<(&Client, Task<'_>)>>, props: &Props, board: &Board) {
    let mut adapter: Option<Running<'_>> = None;
    loop {
        let Some((client, task)) = lock(queue).pop_front() else {
            break;
        };
        if adapter
            .as_ref()
            .is_some_and(|running| !running.is_for(client, task))
        {
            end(adapter.take(), board);
        }
        let began = Instant::now();
        let start = || Running::start(client, task, &props.names);
        let mut current = match adapter.take().map_or_else(start, Ok) {
            Ok(current) => current,
            Err(outcome) => {
                let cell = Cell {
                    outcome,
                    took: Duration::ZERO,
                    note: String::new(),
                };
                board.set(&client.name, &task.row(), cell);
                continue;
            }
        };
        let perform = || match task {
            Task::Vectors(file) => exam::examine(file, &mut current.adapter),
            Task::Scenario(scenario) => perform(scenario, &mut current.adapter, props),
        };
        let mut outcome = catch_unwind(AssertUnwindSafe(perform))
            .unwrap_or_else(|panic| Outcome::Failed(text_of(&panic)));
        if let Outcome::Failed(reason) = outcome {
            // What it does next could be a consequence.
            outcome = Outcome::Failed(current.adapter.told(&reason));
        } else {
            adapter = Some(current);
        }
        let (took, note) = (began.elapsed(), String::new());
        board.set(
            &client.name,
            &task.row(),
            Cell {
                outcome,
                took,
                note,
            },
        );
    }
    end(adapter, board);
}

/// A running adapter.
struct Running<'a> {
    client: &'a Client,
    /// Whether it knows the names of the kit.
    knows_names: bool,
    adapter: Adapter,
}

impl<'a> Running<'a> {
    /// One that can do this task. The error is what comes of the task without one.
    fn start(client: &'a Client, task: Task<'_>, names: &Names) -> Result<Running<'a>, Outcome> {
        let knows_names = task.needs_names();
        let mut program = client.command(&client.run);
        if knows_names {
            program = names.known_to(&program).map_err(Outcome::Skipped)?;
        }
        Ok(Running {
            client,
            knows_names,
            adapter: Adapter::start(program).map_err(Outcome::Failed)?,
        })
    }

    fn is_for(&self, client: &Client, task: Task<'_>) -> bool {
        self.client.name == client.name && self.knows_names == task.needs_names()
    }
}

/// Ends an adapter. One that does not end is a fault.
fn end(adapter: Option<Running<'_>>, board: &Board) {
    if let Some(Running {
        client, adapter, ..
    }) = adapter
        && let Err(reason) = adapter.end()
    {
        let cell = Cell {
            outcome: Outcome::Failed(reason),
            took: Duration::ZERO,
            note: String::new(),
        };
        board.set(&client.name, "end", cell);
    }
}

fn text_of(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the kit panicked: {}", text.unwrap_or("without a text"))
}
