//! What happens: journal, one task per target, the only writer of state, fan-out.

pub mod journal;
