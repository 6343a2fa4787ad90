//! Reading a roster, in one snapshot.
