//! The log alone, on a file system that fails, tears and forgets.
//!
//! [`driver`] writes and keeps the books; [`check`] holds every recovery against them. The others are the schedules.

mod ahead;
mod batch;
mod check;
mod crash;
mod damage;
mod driver;
mod faults;
mod folders;
mod group;
mod holes;
mod judge;
mod kept;
mod names;
mod news;
mod power;
mod salvage;
mod segments;
