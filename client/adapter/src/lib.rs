//! What every ORM adapter shares.
#![forbid(unsafe_code)]
