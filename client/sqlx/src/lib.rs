//! sqlx queries cached on a Redis or Valkey server with `libcacheops.so`.
#![forbid(unsafe_code)]
