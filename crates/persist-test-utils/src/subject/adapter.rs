//! From a store's verbs to a [`Subject`](crate::Subject): what is the same for all stores, as a macro, because their types are not.

/// A store's configuration with these settings.
#[macro_export]
macro_rules! configured {
    ($config:expr, $settings:expr) => {{
        let settings: &$crate::Settings = $settings;
        $config
            .batch_size(settings.batch_size)
            .flush_interval(settings.flush_interval)
            .max_wal_size_bytes(settings.max_wal_size_bytes)
            .max_wal_age(settings.max_wal_age)
            .max_wal_records(settings.max_wal_records)
            .max_unflushed_bytes(settings.max_unflushed_bytes)
            .busy_timeout(settings.busy_timeout)
            .fs(::std::sync::Arc::clone(&settings.fs))
    }};
}

/// Makes a type that wraps a store, and is a [`Subject`](crate::Subject) by what stands in the braces and by functions beside
/// it: `address` says of a put which id it is, `find` reads one, `remove` removes one, `remove_all` those of a key or a
/// collection of it, `add_removal` and `add_removal_of_all` likewise within a batch, `records` and `keys` answer all that there
/// are of a prefix, `id_of` and `row_of` say what is in a record, `more_problems` what the store itself finds wrong.
#[macro_export]
macro_rules! subject {
    ($(#[$doc:meta])* $subject:ident($store:ident<$model:ident>) of $module:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $subject(pub $module::$store);

        impl $subject {
            fn batch_of(
                &self,
                calls: &[$crate::oracle::Call],
                durability: $module::Durability,
            ) -> $module::Result<$module::Batch<'_>> {
                use $crate::oracle::{Call, Expect};
                let mut batch = self.0.batch().durability(durability);
                for call in calls {
                    match call {
                        Call::Put(id, data, expect) => {
                            let put = address(batch.put(&id.0), id, data);
                            match expect {
                                None => put.data(data)?,
                                Some(Expect::Absent) => put.if_absent().data(data)?,
                                Some(Expect::Version(version)) => put.if_version(*version).data(data)?,
                            }
                        }
                        Call::Remove(id, expect) => add_removal(&mut batch, id, Self::version_of(*expect)),
                        Call::RemoveKey(key) => add_removal_of_all(&mut batch, key, None),
                        Call::RemoveWithin(key, field) => add_removal_of_all(&mut batch, key, Some(field.as_deref())),
                        Call::Batch(_) => unreachable!("a batch in a batch"),
                    }
                }
                Ok(batch)
            }

            fn put<'a>(
                &'a self,
                id: &'a $crate::oracle::Id,
                data: &'a ::serde_json::Value,
                expect: Option<$crate::oracle::Expect>,
            ) -> $module::Put<'a, &'a $module::$store> {
                let put = address(self.0.put(&id.0), id, data);
                match expect {
                    None => put,
                    Some($crate::oracle::Expect::Absent) => put.if_absent(),
                    Some($crate::oracle::Expect::Version(version)) => put.if_version(version),
                }
            }

            fn version_of(expect: Option<$crate::oracle::Expect>) -> Option<u32> {
                match expect {
                    Some($crate::oracle::Expect::Version(version)) => Some(version),
                    _ => None,
                }
            }

            fn written(record: &$module::Record) -> Vec<$crate::oracle::Changed> {
                vec![$crate::oracle::Changed::Put(id_of(record.key(), record.part()), record.version())]
            }

            fn removals(
                records: impl IntoIterator<Item = ::std::sync::Arc<$module::Record>>,
            ) -> Vec<$crate::oracle::Changed> {
                let removal = |record: ::std::sync::Arc<$module::Record>| {
                    $crate::oracle::Changed::Removed(id_of(record.key(), record.part()), record.version() + 1)
                };
                records.into_iter().map(removal).collect()
            }

            fn changed(change: &$module::Change<$module::$model>) -> $crate::oracle::Changed {
                let id = id_of(change.key(), change.part());
                match change.record() {
                    Some(record) => $crate::oracle::Changed::Put(id, record.version()),
                    None => $crate::oracle::Changed::Removed(id, change.version()),
                }
            }

            fn told(change: &$module::Change<$module::$model>) -> $module::Result<$crate::subject::Told> {
                let data = change.record().map(|record| row_of(record)).transpose()?.map(|(.., data)| data);
                Ok($crate::subject::Told { seq: change.seq(), changed: Self::changed(change), data, at: change.written_at() })
            }
        }

        impl $crate::Subject for $subject {
            $($own)*

            fn perform(&self, call: &$crate::oracle::Call, durability: $module::Durability) -> $crate::subject::Outcome {
                use $crate::oracle::Call;
                $crate::subject::outcome(match call {
                    Call::Put(id, data, expect) => {
                        let put = self.put(id, data, *expect).durability(durability);
                        put.data(data).map(|record| Self::written(&record))
                    }
                    Call::Remove(id, expect) => remove(&self.0, id, Self::version_of(*expect)).map(Self::removals),
                    Call::RemoveKey(key) => remove_all(&self.0, key, None).map(Self::removals),
                    Call::RemoveWithin(key, field) => {
                        remove_all(&self.0, key, Some(field.as_deref())).map(Self::removals)
                    }
                    Call::Batch(calls) => {
                        let changes = self.batch_of(calls, durability).and_then($module::Batch::commit);
                        changes.map(|changes| changes.iter().map(Self::changed).collect())
                    }
                })
            }

            fn submit(
                &self,
                call: &$crate::oracle::Call,
                durability: $module::Durability,
            ) -> $module::Result<$crate::subject::Waiting> {
                use $crate::oracle::Call;
                use $crate::subject::outcome;
                if let Call::Put(id, data, expect) = call {
                    let ticket = self.put(id, data, *expect).durability(durability).submit(data)?;
                    return Ok(Box::new(move || outcome(ticket.wait().map(|record| Self::written(&record)))));
                }
                let calls = if let Call::Batch(calls) = call { calls } else { ::std::slice::from_ref(call) };
                let ticket = self.batch_of(calls, durability)?.submit()?;
                let told = |changes: Vec<_>| changes.iter().map(Self::changed).collect();
                Ok(Box::new(move || outcome(ticket.wait().map(told))))
            }

            fn get(&self, id: &$crate::oracle::Id) -> $module::Result<Option<(u32, ::serde_json::Value)>> {
                let row = find(&self.0, id)?.map(|record| row_of(&record)).transpose()?;
                assert!(row.as_ref().is_none_or(|(found, ..)| found == id));
                Ok(row.map(|(_, version, data)| (version, data)))
            }

            fn rows(&self, prefix: &str) -> $module::Result<Vec<$crate::subject::Row>> {
                let rows = records(&self.0, prefix)?;
                let mut rows = rows.iter().map(|record| row_of(record)).collect::<$module::Result<Vec<_>>>()?;
                rows.sort_by(|one, other| one.0.cmp(&other.0));
                Ok(rows)
            }

            fn keys(&self, prefix: &str) -> $module::Result<Vec<String>> {
                let mut keys = keys(&self.0, prefix)?;
                keys.sort();
                Ok(keys)
            }

            fn follow(&self, after: Option<u64>) -> $module::Result<$crate::subject::Follower> {
                let since = after.map_or($module::Since::Now, $module::Since::After);
                let told = |event: $module::Result<$module::Event<$module::$model>>| match event? {
                    $module::Event::Change(change) => Self::told(&change),
                    missed => panic!("{missed:?}"),
                };
                Ok(Box::new(self.0.subscribe(since)?.map(told)))
            }

            fn problems(&self) -> $module::Result<Vec<String>> {
                let verified = self.0.verify()?;
                let mut problems = more_problems(&self.0)?;
                if !verified.is_ok() {
                    problems.push(format!("memory and DuckDB differ: {verified:?}"));
                }
                Ok(problems)
            }

            fn flush(&self) -> $module::Result<()> {
                self.0.flush()
            }

            fn compact(&self) -> $module::Result<()> {
                self.0.compact()
            }

            fn sync(&self) -> $module::Result<()> {
                self.0.sync()
            }

            fn backup(&self, dir: &::std::path::Path) -> $module::Result<u64> {
                self.0.backup(dir).map(|backup| backup.seq)
            }

            fn last_seq(&self) -> u64 {
                self.0.stats().last_seq
            }

            fn durable_seq(&self) -> u64 {
                self.0.stats().durable_seq
            }

            fn unflushed(&self) -> usize {
                self.0.stats().pending_writes
            }

            fn recovery(&self) -> &$module::RecoveryReport {
                self.0.recovery()
            }

            fn close(self) -> $module::Result<()> {
                self.0.close()
            }
        }
    };
}
