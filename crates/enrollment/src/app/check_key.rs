//! Saying what redeeming a key would give, without doing it.
