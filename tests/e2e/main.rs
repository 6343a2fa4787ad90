//! End-to-end tests over real processes, sockets and Postgres.
