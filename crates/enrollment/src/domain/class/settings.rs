//! The settings of a class: what create takes and an edit changes.
