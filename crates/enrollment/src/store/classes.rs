//! `enrollment.classes`: classes and their seats.
