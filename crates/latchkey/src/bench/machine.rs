//! The machine that figures come from.

use std::fs;

use serde::Serialize;

/// What a reader of figures must know of where they come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The name of its processors.
    pub processor: String,
    /// How many of them this program may use.
    pub cores: usize,
    /// Its memory, in GiB.
    pub memory_gib: f64,
    /// Its operating system.
    pub system: String,
    /// The version of Postgres.
    pub postgres: String,
    /// How this program was built: `release`, or `debug`, whose figures say nothing.
    pub build: &'static str,
}

impl Machine {
    /// This one, with Postgres of this version.
    pub fn this(postgres: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib(&read("/proc/meminfo")),
            system: format!("{} {}", std::env::consts::OS, release.trim()),
            postgres: postgres.to_owned(),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }

    /// The same in a line.
    pub fn for_people(&self) -> String {
        format!(
            "{} × {}, {:.0} GiB, {}, PostgreSQL {}, {} build",
            self.cores, self.processor, self.memory_gib, self.system, self.postgres, self.build
        )
    }
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Rounded to a tenth; 0 where it is not told.
fn memory_gib(meminfo: &str) -> f64 {
    let total = field(meminfo, "MemTotal").unwrap_or_default();
    let kib: f64 = total
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_as_linux_describes_it() {
        let processors = "processor\t: 0\nmodel name\t: Some Processor @ 2.80GHz\nprocessor\t: 1\n";
        assert_eq!(
            field(processors, "model name").as_deref(),
            Some("Some Processor @ 2.80GHz")
        );
        let memory = memory_gib("MemTotal:       24689340 kB\nMemFree: 1 kB\n");
        assert!((memory - 23.5).abs() < 0.05, "{memory}");
        assert!(memory_gib("").abs() < f64::EPSILON);
        let this = Machine::this("15.14").for_people();
        assert!(this.contains("PostgreSQL 15.14"), "{this}");
    }
}
