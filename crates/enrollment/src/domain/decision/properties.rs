//! Random batches against a model.
