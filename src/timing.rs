//! What each stage of a run costs, in CPU time of the threads that did it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A stage of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Listing folders.
    Walk,
    /// Reading files.
    Read,
    /// File bytes to pixels.
    Decode,
    /// Pixels to tensor.
    Preprocess,
    /// Tensor to scores.
    Inference,
    /// Scores to rows.
    Write,
}

impl Stage {
    /// Every stage, in the order of the data.
    pub const ALL: [Self; 6] =
        [Self::Walk, Self::Read, Self::Decode, Self::Preprocess, Self::Inference, Self::Write];

    /// Its word in the summary and the manifest.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Preprocess => "preprocess",
            Self::Inference => "inference",
            Self::Write => "write",
        }
    }
}

/// CPU and wall time per stage, summed over all threads.
#[derive(Debug, Default)]
pub struct Timing {
    cpu: [AtomicU64; 6],
    wall: [AtomicU64; 6],
    /// Wall time that the model's threads spent without a batch to work on.
    starved: AtomicU64,
    /// CPU time of other processes, which the stages have booked, too.
    elsewhere: AtomicU64,
}

impl Timing {
    /// Runs `work` and books its time to `stage`.
    pub fn measure<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let (cpu, wall) = (thread_cpu(), Instant::now());
        let outcome = work();
        add(&self.cpu[stage as usize], thread_cpu().saturating_sub(cpu));
        add(&self.wall[stage as usize], wall.elapsed());
        outcome
    }

    /// Runs `wait`, which waits for a batch on a model's thread.
    pub fn starving<T>(&self, wait: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let outcome = wait();
        add(&self.starved, start.elapsed());
        outcome
    }

    /// Books what another process spent for `stage`.
    pub fn book_elsewhere(&self, stage: Stage, cpu: Duration, wall: Duration) {
        add(&self.cpu[stage as usize], cpu);
        add(&self.wall[stage as usize], wall);
        add(&self.elsewhere, cpu);
    }

    /// CPU time that other processes spent.
    #[must_use]
    pub fn elsewhere(&self) -> Duration {
        get(&self.elsewhere)
    }

    /// CPU time of `stage`; for a wall clock that outruns it, see [`Timing::wall`].
    #[must_use]
    pub fn cpu(&self, stage: Stage) -> Duration {
        get(&self.cpu[stage as usize])
    }

    /// Wall time of `stage`, summed over threads.
    #[must_use]
    pub fn wall(&self, stage: Stage) -> Duration {
        get(&self.wall[stage as usize])
    }

    /// Wall time that the model's threads waited for batches, summed over threads.
    #[must_use]
    pub fn starved(&self) -> Duration {
        get(&self.starved)
    }

    /// Books the CPU time that ONNX Runtime's own threads took: what the process used between
    /// two calls of [`process_cpu`] (`total`), less what every stage booked itself.
    pub fn book_runtime_threads(&self, total: Duration) {
        let booked: Duration = Stage::ALL.iter().map(|&stage| self.cpu(stage)).sum();
        add(&self.cpu[Stage::Inference as usize], total.saturating_sub(booked));
    }
}

fn add(counter: &AtomicU64, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    counter.fetch_add(nanos, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> Duration {
    Duration::from_nanos(counter.load(Ordering::Relaxed))
}

/// CPU time of the calling thread.
#[cfg(unix)]
#[must_use]
pub fn thread_cpu() -> Duration {
    clock(rustix::time::ClockId::ThreadCPUTime)
}

/// CPU time of the whole process.
#[cfg(unix)]
#[must_use]
pub fn process_cpu() -> Duration {
    clock(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time is not read on this platform; wall time since the first call stands in for it.
#[cfg(not(unix))]
#[must_use]
pub fn thread_cpu() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// As [`thread_cpu`], on this platform.
#[cfg(not(unix))]
#[must_use]
pub fn process_cpu() -> Duration {
    thread_cpu()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_booked_to_its_stage_and_sleep_is_not_work() {
        let timing = Timing::default();
        timing.measure(Stage::Read, || std::thread::sleep(Duration::from_millis(20)));
        assert!(timing.wall(Stage::Read) >= Duration::from_millis(20));
        assert!(cfg!(not(unix)) || timing.cpu(Stage::Read) < Duration::from_millis(20));
        assert_eq!(timing.wall(Stage::Decode), Duration::ZERO);
    }
}
