//! Less than a whole processor, as Lambda gives it: at 1,769 MB a function has one, at 256 MB a
//! seventh (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>). A control
//! group, so for root only.

use std::io;
use std::path::PathBuf;

/// Microseconds of each period.
const PERIOD: u32 = 20_000;

/// A group of processes with a part of a processor.
#[derive(Debug)]
pub struct Quota {
    group: PathBuf,
}

impl Quota {
    /// A group for functions with so much memory.
    ///
    /// # Errors
    /// When there are no control groups for processors here, or they are not ours to make.
    pub fn of_memory(mb: u32) -> io::Result<Self> {
        let name = format!("coldstart-{}", std::process::id());
        let first = PathBuf::from("/sys/fs/cgroup/cpu");
        let quota = PERIOD * mb / 1769;
        if first.is_dir() {
            let this = Self {
                group: first.join(name),
            };
            std::fs::create_dir(&this.group)?;
            std::fs::write(this.group.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            std::fs::write(this.group.join("cpu.cfs_quota_us"), quota.to_string())?;
            return Ok(this);
        }
        let this = Self {
            group: PathBuf::from("/sys/fs/cgroup").join(name),
        };
        std::fs::create_dir(&this.group)?;
        std::fs::write(this.group.join("cpu.max"), format!("{quota} {PERIOD}"))?;
        Ok(this)
    }

    /// Puts a process into it.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn hold(&self, process: u32) -> io::Result<()> {
        std::fs::write(self.group.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.group);
    }
}
