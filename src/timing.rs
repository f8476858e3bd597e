//! What each stage of a run costs, in CPU time of the threads that did it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

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
    /// Wall time that the feeder spent without a free batch to fill.
    held_back: AtomicU64,
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
        waiting(&self.starved, wait)
    }

    /// Runs `wait`, which waits for a batch to fill.
    pub fn holding_back<T>(&self, wait: impl FnOnce() -> T) -> T {
        waiting(&self.held_back, wait)
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

    /// Closes the books of a run that read `images` images in `elapsed` on `cores` processors, with
    /// `sessions` threads for the model and `process` of CPU time in all.
    #[must_use]
    pub fn close(
        &self,
        (images, elapsed): (u64, Duration),
        (cores, sessions): (usize, usize),
        process: Duration,
    ) -> Books {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let stages: Duration = Stage::ALL.iter().map(|&stage| self.cpu(stage)).sum();
        let [elapsed, process, stages, starved, held_back] =
            [elapsed, process, stages, get(&self.starved), get(&self.held_back)]
                .map(|time| time.as_secs_f64());
        let available = cores as f64 * elapsed;
        Books {
            cores,
            cpu_ms_per_image: 1e3 * share(process, images as f64),
            bound_images_per_second: share(cores as f64 * images as f64, process),
            busy: share(process, available),
            unbooked: share(process - stages, process),
            starved: share(starved, elapsed * sessions as f64),
            held_back: share(held_back, elapsed),
        }
    }

    /// Books the CPU time that ONNX Runtime's own threads took: what the process used between
    /// two calls of [`process_cpu`] (`total`), less what every stage booked itself.
    pub fn book_runtime_threads(&self, total: Duration) {
        let booked: Duration = Stage::ALL.iter().map(|&stage| self.cpu(stage)).sum();
        add(&self.cpu[Stage::Inference as usize], total.saturating_sub(booked));
    }
}

/// What the threads of a run did, against what the processor could have done in that time.
///
/// No arrangement of the same work is faster than all processors busy all the time: X ≤ C / Σ CPU
/// seconds per image. The costs are those of this very run, with all its stages side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Books {
    /// Processors that the run could use.
    pub cores: usize,
    /// CPU time for an image that was read, everything included, in milliseconds.
    pub cpu_ms_per_image: f64,
    /// The most images per second that these processors can do at that cost.
    pub bound_images_per_second: f64,
    /// Share of the processors' time that was used, 0 to 1: what was achieved of the bound.
    pub busy: f64,
    /// Share of the used time that no stage booked, 0 to 1.
    pub unbooked: f64,
    /// Share of their time that the model's threads waited for images, 0 to 1.
    pub starved: f64,
    /// Share of the time in which no batch was free to be filled, 0 to 1: the model and the writer
    /// have enough to do.
    pub held_back: f64,
}

/// Processors that this process may use, as its cgroup and its affinity allow.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn waiting<T>(counter: &AtomicU64, wait: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = wait();
    add(counter, start.elapsed());
    outcome
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

    #[test]
    fn the_books_say_what_was_possible() {
        let timing = Timing::default();
        let second = Duration::from_secs(1);
        timing.book_elsewhere(Stage::Decode, 3 * second, second);
        timing.book_elsewhere(Stage::Inference, 12 * second, second);
        add(&timing.starved, 2 * second);
        add(&timing.held_back, 5 * second);
        let books = timing.close((1_000, 10 * second), (2, 2), 16 * second);
        let expected = Books {
            cores: 2,
            cpu_ms_per_image: 16.0,
            bound_images_per_second: 125.0,
            busy: 0.8,
            unbooked: 0.0625,
            starved: 0.1,
            held_back: 0.5,
        };
        assert_eq!(books, expected);
        assert_eq!(timing.close((0, second), (2, 2), Duration::ZERO).bound_images_per_second, 0.0);
    }
}
