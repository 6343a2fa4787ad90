//! Classes.

pub mod cancel_class;
pub mod create_class;
pub mod read_classes;
pub mod update_class;
