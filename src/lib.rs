//! Lockkeeper: a policy-decision sidecar in front of a CRM's HTTP API.
//!
//! Every request becomes principal, action, resource and context; Cedar policies decide, down to the field, per pipeline
//! stage and team; answers leave without what the caller may not see; writes and stage moves that policy does not permit
//! never reach the CRM; every decision is in a ledger before anything is forwarded or released.
//!
//! The map of the house, floor by floor; a file uses its own floor and lower ones:
//!
//! * floor 0: [`model`] (the vocabulary), [`json`] (bounded JSON)
//! * floor 1: [`disk`] (files), [`config`], [`bundle`] (policies, schema, profile), [`ledger`] (the decision log as bytes), [`net`] (TLS and
//!   fetched documents), [`telemetry`]
//! * floor 2: [`pipeline`] (the request's path; the order of the stages lives there)
//! * floor 3: [`audit`] (the ledger for people), [`workbench`] (bundles for their authors)
//! * floor 4: [`service`] (the running whole), [`admin`], [`demo`] (the embedded demo CRM), [`cli`]
//! * beside the house, behind the feature `testkit`: a sidecar under test in front of the demo CRM
//!
//! `ARCHITECTURE.md` tells what may depend on what, and what is absent on purpose.

pub mod model;
pub mod json;
pub mod disk;
pub mod config;
pub mod bundle;
pub mod ledger;
pub mod net;
pub mod telemetry;
pub mod pipeline;
pub mod audit;
pub mod workbench;
pub mod service;
pub mod admin;
pub mod demo;
pub mod cli;
#[cfg(feature = "testkit")]
pub mod testkit;

#[cfg(all(feature = "testkit", not(debug_assertions)))]
compile_error!("`testkit` can switch faults on, so it is for builds with debug assertions only");
