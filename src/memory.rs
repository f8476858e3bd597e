//! How much memory there is, what a run may take of it, and keeping to it.

use std::{fmt, fs};

/// The smaller of the machine's memory and the container's limit, where Linux tells them.
#[must_use]
pub fn limit() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let container = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(container).min()
}

/// Keeps this process below the memory that there is: what would be killed when memory is exhausted
/// is refused instead, as a model is that wants a tensor of hundreds of gigabytes. Where a driver of
/// NVIDIA is, which maps memory for purposes of its own, nothing is done.
///
/// This is process-wide, so it is the program's choice and not the library's.
pub fn confine() {
    #[cfg(target_os = "linux")]
    if let Some(most) = limit().filter(|_| !fs::exists("/dev/nvidiactl").unwrap_or(false)) {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut data = getrlimit(Resource::Data);
        if data.current.is_none_or(|current| current > most) {
            data.current = Some(data.maximum.map_or(most, |maximum| maximum.min(most)));
            let _ = setrlimit(Resource::Data, data);
        }
    }
}

/// The most that a run takes beside ONNX Runtime and what the model itself takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// The tensors of all batches in flight.
    pub batches: u64,
    /// Images being decoded, all together: `decode-memory`.
    pub decoding: u64,
    /// Files being decoded, all together: `max-file-bytes`.
    pub files: u64,
    /// What threads keep for their next image, and take for resampling.
    pub threads: u64,
}

impl Ceiling {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.batches, self.decoding, self.files, self.threads]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(
            f,
            "at most {} MiB beside the model's own: {} decoding, {} files, {} batches, {} threads",
            mib(self.total()),
            mib(self.decoding),
            mib(self.files),
            mib(self.batches),
            mib(self.threads)
        )
    }
}
