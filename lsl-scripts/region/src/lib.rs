//! A small simulated region: prims, avatars, HTTP, the grids' limits.
