//! Faults brought about on purpose, for tests of what crashes, bugs and wrong clocks do.
//!
//! Only with the feature `faults`, which nothing but tests turns on (a test of the manifests holds that); without it each
//! function here is a constant and nothing is left of its call. Which faults happen is said by the environment variable
//! `FAILPOINTS` when the process starts, in the language of the `fail` crate: `decide::committed=2*off->return` aborts
//! the process when that place is reached for the third time, `bug::class_not_locked=return` plants a bug.

use chrono::TimeDelta;

/// Makes the faults of the environment happen from now on. To be called once, when the process starts.
pub fn arm() {
    #[cfg(feature = "faults")]
    // Kept for the life of the process: the scenario ends when it is dropped.
    std::mem::forget(fail::FailScenario::setup());
}

/// A place between two effects that outlive the process: with the fault `place` on, the process aborts here, as a crash
/// would.
#[inline]
pub fn crash_point(place: &str) {
    #[cfg(feature = "faults")]
    fail::eval(place, |_| std::process::abort());
    let _ = place;
}

/// Whether the bug of this name is planted: its test must then fail.
#[inline]
pub fn planted(bug: &str) -> bool {
    #[cfg(feature = "faults")]
    return fail::eval(bug, |_| ()).is_some();
    #[cfg(not(feature = "faults"))]
    {
        let _ = bug;
        false
    }
}

/// How far the clock of this process is off: the argument of the fault `clock::offset`, in seconds; zero without it.
#[inline]
pub fn clock_offset() -> TimeDelta {
    #[cfg(feature = "faults")]
    return fail::eval("clock::offset", |seconds| {
        let seconds = seconds.and_then(|text| text.parse().ok());
        TimeDelta::seconds(seconds.unwrap_or_default())
    })
    .unwrap_or_default();
    #[cfg(not(feature = "faults"))]
    TimeDelta::zero()
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_when_they_are_told_to_and_not_before() {
        let scenario = fail::FailScenario::setup();
        assert!(!planted("bug::of_this_test"));
        assert_eq!(clock_offset(), TimeDelta::zero());
        fail::cfg("bug::of_this_test", "1*off->return").expect("a fault");
        fail::cfg("clock::offset", "1*off->return(-3600)").expect("a fault");
        assert!(!planted("bug::of_this_test"));
        assert!(planted("bug::of_this_test"));
        assert_eq!(clock_offset(), TimeDelta::zero());
        assert_eq!(clock_offset(), TimeDelta::hours(-1));
        scenario.teardown();
    }
}
