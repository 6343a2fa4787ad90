//! Changing a class.
