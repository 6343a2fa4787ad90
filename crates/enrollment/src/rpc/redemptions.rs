//! `RedemptionService`.
