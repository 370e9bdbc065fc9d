//! The serial side: boards, readers and outputs as an edge and as targets.
