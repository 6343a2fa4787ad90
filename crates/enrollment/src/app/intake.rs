//! What must be known before a decision: recorded decisions and what codes are, batched.
