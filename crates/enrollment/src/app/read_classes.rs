//! Reading classes.
