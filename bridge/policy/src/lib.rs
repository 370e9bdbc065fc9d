//! Who may do what: pure decisions; the only maker of a permit.
