//! `enrollment.redemptions`: one insert-only row per decision.
