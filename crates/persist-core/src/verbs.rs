//! What every store can do, whatever its model: the methods that hand a call on to the engine, documented once.
//!
//! A store crate gives them to its store with [`store_verbs!`](crate::store_verbs) and writes only what its model
//! makes special: how it is opened, what an id is in `put` and `get`, and what `close` does besides.

/// Gives a store that has a field `engine: Engine<M>`, or [`Opened<M>`](crate::Opened), the methods that are the same in every model.
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
/// #     type Value = ();
/// #     const PART_FIELDS: &'static [&'static str] = &[];
/// #     const TABLE: &'static str = "seats";
/// #     const COLUMNS: &'static [Column] = &[Column { name: "seat", source: Source::Key }];
/// #     fn part_text(_: &(), _: usize) -> Option<&str> { None }
/// #     fn part_from(_: &[Option<&str>]) {}
/// # }
///
/// persist_core::store_verbs!(Store<Seats>, Seats);
/// persist_core::memory_verbs!(Store<Seats>, Seats);
///
/// fn how_many(store: &Store<Seats>) -> usize {
///     store.len()
/// }
/// ```
#[macro_export]
macro_rules! store_verbs {
    ($store:ty, $model:ty) => {
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
                self.engine.in_service()?.query(sql)
            }

            /// As [`query`](Self::query), as Arrow record batches. Arrow's types are those of its major version 58.
            ///
            /// # Errors
            /// As [`query`](Self::query).
            pub fn query_arrow(&self, sql: &str) -> $crate::Result<::std::vec::Vec<$crate::RecordBatch>> {
                self.engine.in_service()?.query_arrow(sql)
            }

            /// The durable changes of this store in order of `seq`, each once, from now on or from a `seq` that is still
            /// there. A slow reader holds up no writer: it is told what it has missed. See
            /// [`Engine::subscribe`](persist_core::Engine::subscribe).
            ///
            /// # Errors
            /// [`Gone`](persist_core::ErrorKind::Gone), naming the oldest `seq` there is, where the changes asked for are
            /// no longer kept. [`Input`](persist_core::ErrorKind::Input) for a `seq` that was never given out.
            pub fn subscribe(&self, since: $crate::Since) -> $crate::Result<$crate::Subscription<$model>> {
                self.engine.in_service()?.subscribe(since)
            }

            /// Makes all writes so far durable, whatever their durability.
            ///
            /// # Errors
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned).
            pub fn sync(&self) -> $crate::Result<()> {
                self.engine.in_service()?.sync()
            }

            /// As [`sync`](Self::sync), without blocking a thread.
            ///
            /// # Errors
            /// As [`sync`](Self::sync).
            #[cfg(feature = "tokio")]
            pub async fn sync_async(&self) -> $crate::Result<()> {
                self.engine.in_service()?.sync_async().await
            }

            /// Flushes all writes so far into DuckDB, and closes the present segment of the log.
            ///
            /// # Errors
            /// [`Database`](persist_core::ErrorKind::Database): nothing is lost, and the flush is tried again.
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned).
            pub fn flush(&self) -> $crate::Result<()> {
                self.engine.in_service()?.flush()
            }

            /// Flushes, and merges all that was flushed into the table itself; the segments before it are removed.
            ///
            /// # Errors
            /// As [`flush`](Self::flush).
            pub fn compact(&self) -> $crate::Result<()> {
                self.engine.in_service()?.compact()
            }

            /// Flushes, then compares memory with DuckDB, record by record.
            ///
            /// # Errors
            /// As [`flush`](Self::flush).
            pub fn verify(&self) -> $crate::Result<$crate::Verification> {
                self.engine.in_service()?.verify()
            }

            /// The store's figures.
            pub fn stats(&self) -> $crate::Stats {
                self.engine.stats()
            }

            /// What recovery found when the store was opened.
            pub fn recovery(&self) -> &$crate::wal::RecoveryReport {
                self.engine.recovery()
            }
        }
    };
}

/// Gives a store with [`store_verbs!`](crate::store_verbs) what there is for a model that has all its records in memory, and
/// no [history](crate::Model::HISTORY).
#[macro_export]
macro_rules! memory_verbs {
    ($store:ty, $model:ty) => {
        impl $store {
            /// All records, in no particular order; from memory.
            ///
            /// No lock is held while the caller has one. A record that is there throughout is given once; one that is
            /// written or removed meanwhile, in its old form, its new form, or not at all. So of a batch that is
            /// written meanwhile some records may be given and others not.
            pub fn iter(&self) -> impl ::std::iter::Iterator<Item = ::std::sync::Arc<$crate::Record<$model>>> {
                self.engine.records("")
            }

            /// The records whose key begins with `prefix`, as [`iter`](Self::iter). It looks at every record's key.
            pub fn iter_with_prefix(
                &self,
                prefix: &str,
            ) -> impl ::std::iter::Iterator<Item = ::std::sync::Arc<$crate::Record<$model>>> {
                self.engine.records(prefix)
            }

            /// All keys, each once, in no particular order; from memory. As [`iter`](Self::iter).
            pub fn keys(&self) -> impl ::std::iter::Iterator<Item = ::std::string::String> {
                self.engine.keys("")
            }

            /// The keys that begin with `prefix`, as [`keys`](Self::keys). It looks at every key.
            pub fn keys_with_prefix(&self, prefix: &str) -> impl ::std::iter::Iterator<Item = ::std::string::String> {
                self.engine.keys(prefix)
            }

            /// Forgets the versions of the records that were removed before a moment, and answers of how many. Written
            /// again, such an id starts at version 1. It [compacts](Self::compact) first.
            ///
            /// # Errors
            /// As [`flush`](Self::flush): nothing was forgotten.
            pub fn forget_removed(&self, before: $crate::Timestamp) -> $crate::Result<usize> {
                self.engine.forget_removed(before)
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

/// Gives the write of a store, its type `Put<'a, T>`, what is the same in every model: conditions, durability, and the ways
/// to wait; makes the type `Batch` of several writes; and gives the store `batch`.
///
/// `Put` has fields `to: T`, `condition: Option<Condition>` and `durability: Option<Durability>`, a constructor
/// `new(to: T, key: &str)`, and a method `request(&mut self, store: &Store, data: &D) -> Result<request::Put<Model>>`. It is
/// for a store or, with `T = &mut Batch`, for a batch.
#[macro_export]
macro_rules! write_verbs {
    ($store:ident, $model:ty) => {
        impl<T> Put<'_, T> {
            /// Only if there is no record of this id; otherwise the write is a
            /// [`Conflict`](persist_core::ErrorKind::Conflict) that carries the
            /// [version](persist_core::Error::present_version) of the one there is.
            pub fn if_absent(mut self) -> Self {
                self.condition = Some($crate::request::Condition::Absent);
                self
            }

            /// Only if there is a record of this id, at this version; otherwise as [`Put::if_absent`].
            pub fn if_version(mut self, version: u32) -> Self {
                self.condition = Some($crate::request::Condition::Version(version));
                self
            }
        }

        impl<'a> Put<'a, &'a $store> {
            /// When this write is acknowledged. Default: what the configuration says.
            pub fn durability(mut self, durability: $crate::Durability) -> Self {
                self.durability = Some(durability);
                self
            }

            /// Writes the record with this data, which must serialize to a JSON object. Answers the record as it now
            /// stands.
            ///
            /// # Errors
            /// [`Input`](persist_core::ErrorKind::Input) naming the field, [`Conflict`](persist_core::ErrorKind::Conflict),
            /// [`Io`](persist_core::ErrorKind::Io), [`Busy`](persist_core::ErrorKind::Busy): nothing was written.
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned): this write is in doubt or was not made, and no more are taken.
            /// [`Closed`](persist_core::ErrorKind::Closed).
            pub fn data<D: ::serde::Serialize + ?Sized>(
                mut self,
                data: &D,
            ) -> $crate::Result<::std::sync::Arc<$crate::Record<$model>>> {
                self.to.engine.in_service()?.write(self.request(self.to, data)?, self.durability)
            }

            /// As [`data`](Self::data), but returns at once, with a ticket that can be waited for, asked, or awaited: one
            /// thread can have thousands of writes under way.
            ///
            /// # Errors
            /// As [`data`](Self::data); [`Conflict`](persist_core::ErrorKind::Conflict) and, for this write,
            /// [`Poisoned`](persist_core::ErrorKind::Poisoned) come with the ticket.
            pub fn submit<D: ::serde::Serialize + ?Sized>(
                mut self,
                data: &D,
            ) -> $crate::Result<$crate::Ticket<::std::sync::Arc<$crate::Record<$model>>>> {
                self.to.engine.in_service()?.submit(self.request(self.to, data)?, self.durability)
            }

            /// As [`data`](Self::data), within a tokio runtime, none of whose threads it blocks. If it is dropped before
            /// it is done, the record is written or not.
            ///
            /// # Errors
            /// As [`data`](Self::data).
            #[cfg(feature = "tokio")]
            pub async fn data_async<D: ::serde::Serialize + ?Sized>(
                mut self,
                data: &D,
            ) -> $crate::Result<::std::sync::Arc<$crate::Record<$model>>> {
                self.to.engine.in_service()?.write_async(self.request(self.to, data)?, self.durability).await
            }
        }

        impl Put<'_, &mut Batch<'_>> {
            /// Adds the record with this data, which must serialize to a JSON object, to the batch.
            ///
            /// # Errors
            /// [`Input`](persist_core::ErrorKind::Input) naming the field: nothing was added.
            pub fn data<D: ::serde::Serialize + ?Sized>(mut self, data: &D) -> $crate::Result<()> {
                let put = self.request(self.to.store, data)?;
                self.to.request.put(put);
                Ok(())
            }
        }

        /// Several writes as one durable step: after a crash all of them are there or none, and other threads see all of
        /// them or none. Of several for one id the last one stays, and each counts as a version.
        ///
        /// Nothing happens before [`Batch::commit`].
        #[derive(Debug)]
        #[must_use = "nothing is written before `commit` is called"]
        pub struct Batch<'a> {
            store: &'a $store,
            request: $crate::request::Batch<$model>,
            durability: ::std::option::Option<$crate::Durability>,
        }

        impl<'a> Batch<'a> {
            /// When the batch is acknowledged. Default: what the configuration says.
            pub fn durability(mut self, durability: $crate::Durability) -> Self {
                self.durability = Some(durability);
                self
            }

            /// Begins a write of the batch.
            pub fn put<'b>(&'b mut self, key: &'b str) -> Put<'b, &'b mut Self> {
                Put::new(self, key)
            }

            /// How many writes and removals there are.
            pub fn len(&self) -> usize {
                self.request.len()
            }

            /// Whether there is nothing to be done.
            pub fn is_empty(&self) -> bool {
                self.request.is_empty()
            }

            /// Does all of it. Answers the changes that were made, in order: a removal of what is not there is none.
            ///
            /// # Errors
            /// As [`Put::data`]: nothing of it was done, or it is in doubt as a whole.
            pub fn commit(self) -> $crate::Result<::std::vec::Vec<$crate::Change<$model>>> {
                self.store.engine.in_service()?.write(self.request, self.durability)
            }

            /// As [`commit`](Self::commit), but returns at once, with a ticket; see [`Put::submit`].
            ///
            /// # Errors
            /// As [`Put::submit`].
            pub fn submit(self) -> $crate::Result<$crate::Ticket<::std::vec::Vec<$crate::Change<$model>>>> {
                self.store.engine.in_service()?.submit(self.request, self.durability)
            }

            /// As [`commit`](Self::commit), within a tokio runtime, none of whose threads it blocks.
            ///
            /// # Errors
            /// As [`commit`](Self::commit).
            #[cfg(feature = "tokio")]
            pub async fn commit_async(self) -> $crate::Result<::std::vec::Vec<$crate::Change<$model>>> {
                self.store.engine.in_service()?.write_async(self.request, self.durability).await
            }
        }

        impl $store {
            /// Begins a batch: several writes and removals as one step.
            pub fn batch(&self) -> Batch<'_> {
                Batch { store: self, request: $crate::request::Batch::new(), durability: None }
            }
        }
    };
}

/// Gives a `Put<'a, T>` with a field `specials: Specials<'a>` what sets the special fields of its record.
#[macro_export]
macro_rules! special_verbs {
    () => {
        impl<'a, T> Put<'a, T> {
            /// The user name. Default: `username` of the data, else none.
            pub fn username(mut self, name: &'a str) -> Self {
                self.specials.username = Some(name);
                self
            }

            /// The status. Default: `status` of the data, else none.
            pub fn status(mut self, status: &'a str) -> Self {
                self.specials.status = Some(status);
                self
            }

            /// The status as a number. Default: `status_int` of the data, else none.
            pub fn status_int(mut self, status: i32) -> Self {
                self.specials.status_int = Some(status);
                self
            }

            /// The record's timestamp: a [`Timestamp`](persist_core::Timestamp), a moment of the `time` crate, or ISO 8601
            /// text, UTC where it names no offset. Default: `timestamp` of the data, else now.
            pub fn timestamp(mut self, timestamp: impl $crate::timestamp::IntoTimestamp) -> Self {
                self.specials.timestamp = Some(timestamp.into_timestamp());
                self
            }
        }
    };
}

/// Gives a store with [`write_verbs!`](crate::write_verbs), and its `Batch`, what is there for a model that may have several
/// records of a key.
#[macro_export]
macro_rules! key_verbs {
    ($store:ident, $model:ty) => {
        impl Batch<'_> {
            /// Adds the removal of all records of a key.
            pub fn remove_key(&mut self, key: &str) {
                self.request.remove_key($crate::request::RemoveKey::new(key));
            }
        }

        impl $store {
            /// Removes all records of a key as one step, durably. Answers those that it removed, in no particular order.
            ///
            /// # Errors
            /// As [`Put::data`].
            pub fn remove_key(
                &self,
                key: &str,
            ) -> $crate::Result<::std::vec::Vec<::std::sync::Arc<$crate::Record<$model>>>> {
                self.engine.in_service()?.write($crate::request::RemoveKey::new(key), None)
            }
        }
    };
}

/// Gives a store that has a field `engine: Engine<M>`, and whose configuration has one `options: Options`, its backups.
/// How a store is made of one is the store's own: only it knows where its files are.
#[macro_export]
macro_rules! backup_verbs {
    ($store:ident, $model:ty, $config:ty) => {
        impl $store {
            /// Backs the store up into a folder of its own, which is made or holds no file, while other threads read and
            /// write. [`restore`](Self::restore) makes a store of it.
            ///
            /// The backup has everything that was acknowledged before this call, and the state of one moment: all
            /// records up to its [`seq`](persist_core::Backup::seq) and none after. It has been read back whole, and is
            /// durable, when this returns.
            ///
            /// # Errors
            /// [`Config`](persist_core::ErrorKind::Config) for a folder with files in it.
            /// [`Database`](persist_core::ErrorKind::Database) or [`Io`](persist_core::ErrorKind::Io) where it can't be
            /// made: the store goes on. [`Poisoned`](persist_core::ErrorKind::Poisoned): close the store and open it
            /// again first.
            pub fn backup(&self, dir: impl ::std::convert::AsRef<::std::path::Path>) -> $crate::Result<$crate::Backup> {
                self.engine.in_service()?.backup(dir.as_ref())
            }

            /// Reads a backup whole and compares it with its manifest: size, checksum, columns, owner, `seq`, rows, no id
            /// twice. It changes nothing. Of the configuration only what says how stores look counts.
            ///
            /// # Errors
            /// [`Config`](persist_core::ErrorKind::Config) for a folder that is no backup,
            /// [`Corrupt`](persist_core::ErrorKind::Corrupt) naming the damaged file,
            /// [`Schema`](persist_core::ErrorKind::Schema) for a backup with other columns.
            pub fn verify_backup(
                dir: impl ::std::convert::AsRef<::std::path::Path>,
                config: &$config,
            ) -> $crate::Result<$crate::Backup> {
                $crate::Engine::<$model>::verify_backup(dir.as_ref(), &config.options)
            }
        }
    };
}
