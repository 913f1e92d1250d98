//! Enforcement (PEP): the only way in to the CRM and the only way out of it.
//!
//! Promises: `request` alone makes a Clearance, `response` alone makes a Released; neither has another constructor.

pub mod body;
pub mod request;
pub mod answer;
pub mod transit;
pub mod shown;
pub mod addresses;
pub mod csv;
pub mod response;
pub mod scan;
