//! One folder per technology, each a feature.
