//! The facts that decisions are made from, set-wise.
