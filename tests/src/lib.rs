//! The whole bridge against region, boards and real backends.
