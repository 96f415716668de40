//! A store that was opened: in service, or to be rebuilt first because its history is missing.

use std::sync::OnceLock;

use parking_lot::Mutex;

use super::Stats;
use super::open::{Location, is_missing, take_marked_locks, validate};
use super::rebuild::Rebuild;
use super::shared::Engine;
use crate::config::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Model;
use crate::wal::RecoveryReport;

/// An engine in service, or what rebuilds a [history](Model::HISTORY) whose file is missing until it is.
#[derive(Debug)]
pub struct Opened<M: Model> {
    engine: OnceLock<Engine<M>>,
    /// `None` once it is in service, or can't be brought there any more.
    rebuild: Mutex<Option<Rebuild<M>>>,
    /// What there was no recovery to say.
    no_report: RecoveryReport,
}

impl<M: Model> Opened<M> {
    /// As [`Engine::open`]. Where the history's file is missing, and the store's other files say that there was one, it
    /// opens to be rebuilt.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open(location: &Location, options: Options) -> Result<Self> {
        let (engine, no_report) = (OnceLock::new(), RecoveryReport::default());
        validate::<M>(&options)?;
        let locks = take_marked_locks::<M>(options.fs.as_ref(), location)?;
        let mut rebuild = None;
        if M::HISTORY.is_some() && is_missing(options.fs.as_ref(), location)? {
            tracing::warn!(missing = %location.database.display(), "the history has to be rebuilt");
            rebuild = Some(Rebuild::new(location, options, locks)?);
        } else {
            let _ = engine.set(Engine::open_locked(location, options, locks)?);
        }
        Ok(Self { engine, rebuild: Mutex::new(rebuild), no_report })
    }

    /// The engine.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), saying what to do, while the history is missing.
    pub fn in_service(&self) -> Result<&Engine<M>> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let rebuild = self.rebuild.lock();
        match (self.engine.get(), rebuild.as_ref()) {
            // Another call has brought it into service meanwhile.
            (Some(engine), _) => Ok(engine),
            (None, Some(rebuild)) => Err(rebuild.refusal()),
            (None, None) => {
                Err(Error::new(ErrorKind::Closed, "the store could not be brought into service: open it again"))
            }
        }
    }

    /// Brings what the log has in the folder of this name into a history that is being rebuilt, which begins with the
    /// newest backup that is whole. Answers how many records that were; none for a store in service, which has them.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a name that no log folder can have, or of one that is not there;
    /// [`Schema`](ErrorKind::Schema) where a backup has other columns; [`Io`](ErrorKind::Io),
    /// [`Database`](ErrorKind::Database): call it again.
    pub fn rebuild_history(&self, folder: &str) -> Result<u64> {
        self.rebuild.lock().as_mut().map_or(Ok(0), |rebuild| rebuild.take_folder(folder))
    }

    /// Makes the newest records anew of the history, and brings the store into service if that was being rebuilt. Answers
    /// how many ids there are.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where records are missing: the message says which, and what to do. As
    /// [`Engine::rebuild_latest`].
    pub fn rebuild_latest(&self) -> Result<u64> {
        let mut rebuild = self.rebuild.lock();
        if let Some(unfinished) = rebuild.as_mut() {
            unfinished.put_in_place()?;
        }
        let Some(whole) = rebuild.take() else {
            drop(rebuild);
            return self.in_service()?.rebuild_latest();
        };
        // Who asks meanwhile waits for what comes of it.
        let engine = whole.open()?;
        let count = engine.stats().base_rows;
        let _ = self.engine.set(engine);
        Ok(count)
    }

    /// As [`Engine::log_folder`].
    pub fn log_folder(&self) -> Option<String> {
        let of_rebuild = || self.rebuild.lock().as_ref().and_then(|rebuild| rebuild.log_folder().map(str::to_owned));
        self.engine.get().map_or_else(of_rebuild, Engine::log_folder)
    }

    /// The store's figures; all zero while it is not in service.
    pub fn stats(&self) -> Stats {
        self.engine.get().map_or_else(Stats::default, Engine::stats)
    }

    /// What recovery found; nothing while the store is not in service.
    pub fn recovery(&self) -> &RecoveryReport {
        self.engine.get().map_or(&self.no_report, Engine::recovery)
    }

    /// As [`Engine::close`].
    ///
    /// # Errors
    /// As [`Engine::close`].
    pub fn close(self) -> Result<()> {
        self.engine.into_inner().map_or(Ok(()), Engine::close)
    }
}
