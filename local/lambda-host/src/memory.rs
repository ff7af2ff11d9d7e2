//! How much memory a process has used at most.

/// Largest resident size of a live process so far, in bytes; none where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn high_water_mark(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Largest resident size of a live process so far, in bytes; none where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn high_water_mark(_pid: u32) -> Option<u64> {
    None
}
