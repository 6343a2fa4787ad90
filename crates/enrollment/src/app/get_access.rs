//! May this student open this class, from when to when?
