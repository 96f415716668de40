//! How many of the machine's cores DuckDB takes: all for who waits for an answer, one for what goes on beside writers.
//!
//! On all cores a merge keeps who writes from running: on two of them it took the p99 of a durable write from 0.2 ms to
//! between 1 and 3, and was hardly sooner done. And for as long as another of DuckDB's threads does the last of a
//! statement, the one that asked for it spins, which cost a flush of few rows a second core.
//!
//! DuckDB has one number of threads for all statements. To change it, it ends those that it has, and waits for what they
//! are doing. So there are fewer only when nothing is under way, and more again when somebody asks for all: then there is
//! none to end, as the one core is the asking thread's own.

use duckdb::Connection;
use parking_lot::Mutex;

#[derive(Debug)]
pub(super) struct Cores {
    state: Mutex<State>,
    all: u64,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    is_one: bool,
    under_way: usize,
}

/// Something that is under way in DuckDB, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Cores);

impl Cores {
    /// Of an instance that takes `all` cores now.
    pub(super) fn new(connection: Connection, all: u64) -> Self {
        Self { state: Mutex::new(State { connection, is_one: false, under_way: 0 }), all }
    }

    /// What begins now has all cores.
    pub(super) fn all(&self) -> UnderWay<'_> {
        let mut state = self.state.lock();
        if state.is_one {
            self.set(&mut state, false);
        }
        state.under_way += 1;
        UnderWay(self)
    }

    /// What begins now has one core, if nothing is under way that has more.
    pub(super) fn one(&self) -> UnderWay<'_> {
        let mut state = self.state.lock();
        if !state.is_one && state.under_way == 0 {
            self.set(&mut state, true);
        }
        state.under_way += 1;
        UnderWay(self)
    }

    fn set(&self, state: &mut State, is_one: bool) {
        let threads = if is_one { 1 } else { self.all };
        match state.connection.execute_batch(&format!("SET threads = {threads}")) {
            Ok(()) => state.is_one = is_one,
            // Everything comes to the same on any number of them.
            Err(error) => tracing::debug!(%error, threads, "DuckDB keeps its threads"),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state.lock().under_way -= 1;
    }
}
