//! What the kernel reports about the process, under the names that every Prometheus client uses.

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};

use super::Metrics;

impl Metrics {
    /// Reads the figures of this process. If `/proc` can't be read the log says so. The figures
    /// after the first missing one then keep their values.
    pub fn read_process(&self) {
        if let Err(error) = self.try_read_process() {
            tracing::warn!(cause = %error, "the figures of the process cannot be read");
        }
    }

    fn try_read_process(&self) -> ProcResult<()> {
        let process = Process::myself()?;
        let (stat, ticks) = (process.stat()?, procfs::ticks_per_second() as f64);
        let whole = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
        let used = (stat.utime + stat.stime) as f64 / ticks;
        self.cpu.inc_by((used - self.cpu.get()).max(0.0));
        self.resident.set(whole(stat.rss * procfs::page_size()));
        self.mapped.set(whole(stat.vsize));
        self.threads.set(stat.num_threads);
        self.process_start.set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks);
        self.open_fds.set(whole(process.fd_count()? as u64));
        self.max_fds.set(match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => whole(limit),
            LimitValue::Unlimited => i64::MAX,
        });
        Ok(())
    }
}
