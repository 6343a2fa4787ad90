//! Copies of organizations and classes, pushed to the keys service.
