//! The bytes at each border, versioned, with frozen vectors; no I/O.
