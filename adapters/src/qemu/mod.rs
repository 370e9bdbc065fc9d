//! Virtual machines over QMP.
