//! Reading organizations.
