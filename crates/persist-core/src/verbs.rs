//! What every store can do, whatever its model: the methods that hand a call on to the engine, documented once.
//!
//! A store crate gives them to its store with [`store_verbs!`](crate::store_verbs) and writes only what its model
//! makes special: how it is opened, what an id is in `put` and `get`, and what `close` does besides.

/// Gives a store that has a field `engine: Engine<M>` the methods that are the same in every model.
///
/// ```
/// use persist_core::{Engine, Model};
///
/// /// A store of a model of one's own.
/// #[derive(Debug)]
/// pub struct Store<M: Model> {
///     engine: Engine<M>,
/// }
/// # use persist_core::{Column, Source};
/// # #[derive(Debug)]
/// # pub struct Seats;
/// # impl Model for Seats {
/// #     type Part = ();
/// #     const PART_FIELDS: &'static [&'static str] = &[];
/// #     const TABLE: &'static str = "seats";
/// #     const COLUMNS: &'static [Column] = &[Column { name: "seat", source: Source::Key }];
/// #     fn part_text(_: &(), _: usize) -> Option<&str> { None }
/// #     fn part_from(_: &[Option<&str>]) {}
/// # }
///
/// persist_core::store_verbs!(Store<Seats>);
///
/// fn how_many(store: &Store<Seats>) -> usize {
///     store.len()
/// }
/// ```
#[macro_export]
macro_rules! store_verbs {
    ($store:ty) => {
        impl $store {
            /// Runs one SELECT over the store's table in DuckDB, which shows everything that was written before this
            /// call. After a failed write or sync it leaves out the records that are in doubt.
            ///
            /// It reads files and functions as any DuckDB query may: SQL from strangers belongs in another process.
            ///
            /// # Errors
            /// [`Input`](persist_core::ErrorKind::Input) for anything but one SELECT;
            /// [`Database`](persist_core::ErrorKind::Database) for what DuckDB refuses.
            pub fn query(&self, sql: &str) -> $crate::Result<$crate::Rows> {
                self.engine.query(sql)
            }

            /// As [`query`](Self::query), as Arrow record batches. Arrow's types are those of its major version 58.
            ///
            /// # Errors
            /// As [`query`](Self::query).
            pub fn query_arrow(&self, sql: &str) -> $crate::Result<::std::vec::Vec<$crate::RecordBatch>> {
                self.engine.query_arrow(sql)
            }

            /// Makes all writes so far durable, whatever their durability.
            ///
            /// # Errors
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned).
            pub fn sync(&self) -> $crate::Result<()> {
                self.engine.sync()
            }

            /// Flushes all writes so far into DuckDB, and closes the present segment of the log.
            ///
            /// # Errors
            /// [`Database`](persist_core::ErrorKind::Database): nothing is lost, and the flush is tried again.
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned).
            pub fn flush(&self) -> $crate::Result<()> {
                self.engine.flush()
            }

            /// Flushes, and merges all that was flushed into the table itself; the segments before it are removed.
            ///
            /// # Errors
            /// As [`flush`](Self::flush).
            pub fn compact(&self) -> $crate::Result<()> {
                self.engine.compact()
            }

            /// Flushes, then compares memory with DuckDB, record by record.
            ///
            /// # Errors
            /// As [`flush`](Self::flush).
            pub fn verify(&self) -> $crate::Result<$crate::Verification> {
                self.engine.verify()
            }

            /// The store's figures.
            pub fn stats(&self) -> $crate::Stats {
                self.engine.stats()
            }

            /// What recovery found when the store was opened.
            pub fn recovery(&self) -> &$crate::wal::RecoveryReport {
                self.engine.recovery()
            }

            /// The number of records.
            pub fn len(&self) -> usize {
                self.engine.len()
            }

            /// Whether there is no record.
            pub fn is_empty(&self) -> bool {
                self.engine.is_empty()
            }
        }
    };
}
