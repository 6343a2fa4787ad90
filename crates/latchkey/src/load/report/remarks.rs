//! What is to be said of a run besides its figures: a sentence each.

use super::Report;
use crate::load::mix::Action;
use crate::load::run::Ended;

impl Report {
    /// That it ended before its time, and what to do about it; nothing, if it ended as planned.
    pub(super) fn cut_short(&self) -> Option<String> {
        let action = match self.ended {
            Ended::AsPlanned => return None,
            Ended::Stopped => return Some("Ended before its time: it was told to.".to_owned()),
            Ended::UsedUp(action) => action,
        };
        let option = match action {
            Action::Event => "--seats",
            Action::Register => "--registrations",
            _ => "--keys",
        };
        Some(format!(
            "Ended before its time: everything for `{action}` was used up. Give more of it by {option}, or in the files."
        ))
    }

    /// That calls were due and never sent, in a sentence; nothing, if all were.
    fn backlog(&self) -> Option<String> {
        (self.never_sent > 0).then(|| {
            format!(
                "{} of the {} calls that were due were never sent: all {} streams were busy with those before.",
                self.never_sent, self.due, self.plan.streams
            )
        })
    }

    /// That there are no figures, in a sentence; nothing, if there are.
    fn unmeasured(&self) -> Option<String> {
        let only_ramp = self.calls > 0 && self.calls_per_second.is_none();
        only_ramp.then(|| "All calls fell into the ramp: nothing was measured.".to_owned())
    }

    /// What else is to be said of how the run went.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        let remarks = [self.backlog(), self.unmeasured(), self.idle()];
        remarks.into_iter().flatten()
    }

    /// Which actions of the mix were never called, in a sentence; nothing, if all were.
    fn idle(&self) -> Option<String> {
        let names: Vec<String> = self
            .never_called
            .iter()
            .map(|action| format!("`{action}`"))
            .collect();
        (!names.is_empty()).then(|| format!("In the mix, and never called: {}.", names.join(", ")))
    }

    /// That nobody knows whether an answer was wrong, in a sentence; nothing, if it was looked at.
    pub(super) fn not_judged(&self) -> Option<String> {
        let why = self.wrong.why.as_ref()?;
        Some(format!(
            "The rosters could not be read, so whether an answer was wrong is not known: {why}"
        ))
    }

    /// Which services could not be looked at, and why: a sentence each.
    pub(super) fn unread(&self) -> impl Iterator<Item = &str> {
        let services = self.services.iter();
        services.filter_map(|service| service.unread.as_deref())
    }
}
