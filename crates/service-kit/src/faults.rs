//! Faults brought about on purpose, for tests of what crashes, bugs and wrong clocks do.
//!
//! Only with the feature `faults`, which nothing but tests turns on (a test of the manifests holds that); without it each
//! function here is a constant and nothing is left of its call. Which faults happen is said in the language of the `fail`
//! crate: `commit::after=2*off->return` aborts the process when that place is reached for the third time,
//! `bug::class_not_locked=return` plants a bug. It is said by the environment variable `FAILPOINTS` when the process
//! starts, and at any time by the content of the file that `LATCHKEY_FAULTS_FILE` names; a file of that name with `.done`
//! behind it repeats the content as soon as it holds.

use chrono::TimeDelta;

/// Makes the faults of the environment happen from now on. To be called once, when the process starts.
pub fn arm() {
    #[cfg(feature = "faults")]
    {
        // Kept for the life of the process: the scenario ends when it is dropped.
        std::mem::forget(fail::FailScenario::setup());
        if let Some(file) = std::env::var_os("LATCHKEY_FAULTS_FILE") {
            std::thread::spawn(move || follow(&file));
        }
    }
}

/// Makes the faults happen that `file` names, whenever its content is another one.
#[cfg(feature = "faults")]
fn follow(file: &std::ffi::OsStr) -> ! {
    let mut done = file.to_owned();
    done.push(".done");
    let mut known = None;
    loop {
        let content = std::fs::read_to_string(file).ok();
        if content != known || !std::path::Path::new(&done).exists() {
            let faults = |content: &Option<String>| -> Vec<(String, String)> {
                let faults = content.iter().flat_map(|text| text.split(';'));
                let faults = faults.filter_map(|fault| fault.trim().split_once('='));
                faults
                    .map(|(name, what)| (name.to_owned(), what.to_owned()))
                    .collect()
            };
            for (name, _) in faults(&known) {
                fail::remove(name);
            }
            for (name, what) in faults(&content) {
                if let Err(error) = fail::cfg(name, &what) {
                    tracing::error!(error, "a fault that cannot be understood");
                }
            }
            if std::fs::write(&done, content.as_deref().unwrap_or_default()).is_err() {
                tracing::error!("it cannot be said that the faults hold");
            }
            known = content;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// A place between two effects that outlive the process: with the fault `place` on, or the fault `crash::any`, which all
/// of them share, the process aborts here, as a crash would.
///
/// Every commit and every call to another service has one before and one after it.
#[inline]
pub fn crash_point(place: &str) {
    #[cfg(feature = "faults")]
    for fault in [place, "crash::any"] {
        fail::eval(fault, |_| std::process::abort());
    }
    let _ = place;
}

/// A place where what a call did is written and not yet committed: the fault `place` can hold the call up here.
///
/// Unlike [`crash_point`] it stands in the calls' own deeds only, so that no commit of the background meets the fault first.
#[inline]
pub fn hold_point(place: &str) {
    #[cfg(feature = "faults")]
    let _ = fail::eval(place, |_| ());
    let _ = place;
}

/// Plants the bug of this name in this process from now on, or takes it out: for tests that run a service in their own
/// process.
pub fn plant(bug: &str, there: bool) {
    #[cfg(feature = "faults")]
    if there {
        let told = fail::cfg(bug, "return");
        debug_assert!(told.is_ok(), "{told:?}");
    } else {
        fail::remove(bug);
    }
    let _ = (bug, there);
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

/// How far a clock is off: the argument of the fault `clock`, in seconds; zero without it. There are two of them,
/// `clock::process` and, as this process reads it, `clock::database`.
#[inline]
pub fn clock_offset(clock: &str) -> TimeDelta {
    #[cfg(feature = "faults")]
    return fail::eval(clock, |seconds| {
        let seconds = seconds.and_then(|text| text.parse().ok());
        TimeDelta::seconds(seconds.unwrap_or_default())
    })
    .unwrap_or_default();
    #[cfg(not(feature = "faults"))]
    {
        let _ = clock;
        TimeDelta::zero()
    }
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_when_they_are_told_to_and_not_before() {
        let scenario = fail::FailScenario::setup();
        assert!(!planted("bug::of_this_test"));
        assert_eq!(clock_offset("clock::process"), TimeDelta::zero());
        fail::cfg("bug::of_this_test", "1*off->return").expect("a fault");
        fail::cfg("clock::process", "1*off->return(-3600)").expect("a fault");
        assert!(!planted("bug::of_this_test"));
        assert!(planted("bug::of_this_test"));
        assert_eq!(clock_offset("clock::process"), TimeDelta::zero());
        assert_eq!(clock_offset("clock::process"), TimeDelta::hours(-1));
        scenario.teardown();
    }
}
