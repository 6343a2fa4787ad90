//! What is still owed to the keys service, and what was left behind there.
