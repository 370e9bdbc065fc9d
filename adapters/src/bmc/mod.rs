//! What Redfish and IPMI share: a baseboard controller takes orders and tells of the power rail, and
//! knows little of what the machine does in between.

mod asked;

pub(crate) use asked::{Asked, How, told};
