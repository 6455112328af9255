//! The name of this machine.

/// The host name as the kernel has it. In a pod it is the name of the pod. The variable `HOSTNAME` is not asked: a shell
/// sets it, and it may be left over from another machine.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_name_that_the_kernel_shows() {
        let shown = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(host_name(), shown.trim_end());
    }
}
