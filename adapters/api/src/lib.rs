//! The Adapter trait, its driver, the conformance suite.
