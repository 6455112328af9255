//! How servers agree when they are many: clusters of real actors in virtual time, on a network that is only
//! a delay and a loss. A whole server has a world of its own (`world`); a thousand of them, each connected to
//! each, are a million connections, and here a connection is next to nothing.

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
