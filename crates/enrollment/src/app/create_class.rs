//! Creating a class, and turning its event key on in the same call.
