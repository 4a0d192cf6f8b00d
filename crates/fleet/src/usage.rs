//! What a process has used, as Linux tells it; nothing elsewhere.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Usage {
    /// The most memory that was resident at once, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds of CPU time, in user and kernel mode, of all threads.
    pub cpu_s: Option<f64>,
}

impl Usage {
    /// Of the process with this id, or of `self`.
    pub fn of(process: &str) -> Self {
        let read = |file| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
        let status = read("status");
        let status = status.as_deref();
        Self {
            peak_memory_bytes: status.and_then(|status| memory_bytes(status, "VmHWM:")),
            cpu_s: read("stat").as_deref().and_then(cpu).map(|time| time.as_secs_f64()),
        }
    }

    /// Memory that is resident in this process now, in bytes.
    pub fn resident_bytes(process: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        memory_bytes(&status, "VmRSS:")
    }

    /// The time used since `earlier`; the peak is that of the whole life.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let cpu_s = self.cpu_s.zip(earlier.cpu_s).map(|(now, then)| now - then);
        Self { cpu_s, ..self }
    }
}

/// A line of proc_pid_status(5): `VmHWM:`, the peak, or `VmRSS:`, now.
fn memory_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// `utime` and `stime` of proc_pid_stat(5), in ticks of 10 ms, which is what the kernel shows on all machines of today.
fn cpu(stat: &str) -> Option<Duration> {
    // The name, in parentheses, may have blanks and parentheses; behind it `utime` is the 12th field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tjoiner\nVmPeak:\t  999999 kB\nVmHWM:\t  183500 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(memory_bytes(status, "VmHWM:"), Some(183_500 * 1024));
        assert_eq!(memory_bytes(status, "VmRSS:"), Some(1024));
        assert_eq!(memory_bytes("Name:\tjoiner\n", "VmHWM:"), None);
    }

    #[test]
    fn cpu_time_is_user_and_kernel_time_whatever_the_name() {
        let stat = "4242 (a) b (c) S 1 4242 4242 0 -1 4194304 9 0 0 0 250 125 7 7 20 0 9 0 100";
        assert_eq!(cpu(stat), Some(Duration::from_millis(3_750)));
        assert_eq!(cpu("4242 (joiner) S 1"), None);
    }
}
