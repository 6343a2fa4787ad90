//! Queries that re-count what the constraints promise.
