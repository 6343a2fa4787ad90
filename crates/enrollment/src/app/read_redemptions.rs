//! Reading recorded decisions.
