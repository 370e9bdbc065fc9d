//! Names and types per profile; diagnostics as plain data.
