//! Checking an e-mail address and password.
