//! How soon many servers agree: clusters of real actors in virtual time, on a network that only delays and loses.
//! Whole servers run in a `world`, but that is too much for a thousand of them: each is connected to every other,
//! which makes a million connections. Here a connection costs almost nothing.

mod cluster;
mod network;
mod page;
mod plot;
mod rows;

pub use cluster::{Cluster, Plan};
pub use network::INTERVAL;
pub use page::{tables, with_tables};
pub use plot::plot;
pub use rows::{all_plans, measure_all, measure_intervals, theory};
