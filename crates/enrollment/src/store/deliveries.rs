//! `enrollment.deliveries`: how far the keys service was told.
