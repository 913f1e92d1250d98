//! Real sockets on port 0: each test starts its own demo CRM.

mod client;
mod faults;
mod reads;
mod writes;
