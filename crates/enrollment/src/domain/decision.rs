//! What becomes of a wish to redeem a key: one function of the facts.
