//! Bare programs: what a workload must cost on this machine, with nothing that makes a store of it.

pub(crate) mod appender;
pub(crate) mod file;
pub(crate) mod file_of_duckdb;
pub(crate) mod group_commit;
pub(crate) mod map;
pub(crate) mod replay;
