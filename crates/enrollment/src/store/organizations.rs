//! `enrollment.organizations`: the tree.
