//! How many CPUs the process may use.

/// How many it is by its affinity and by the quota of its control group. If the system does not say it, one.
pub fn usable_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
