//! The log of a store as it lies there: its lines, and what a recovery would find. Nothing is changed.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use persist_core::clock::SystemClock;
use persist_core::fs::Disk;
use persist_core::wal::{Archive, Recovery, RecoveryPolicy, RecoveryReport};

use crate::failure::{Failure, Result};
use crate::folder::{Folder, Identity};

/// A log in some folders.
#[derive(Debug)]
pub(crate) struct Log {
    identity: Identity,
    folders: Vec<PathBuf>,
}

/// What a recovery of a log would find.
#[derive(Debug)]
pub(crate) struct Found {
    /// What it says.
    pub(crate) report: RecoveryReport,
    /// Everything up to this `seq` is known to be in DuckDB.
    pub(crate) watermark: u64,
}

/// How often a log that is being written is looked at before what it shows is believed.
const LOOKS: u32 = 5;

impl Log {
    /// The log of a store.
    pub(crate) fn of(folder: &Folder) -> Result<Self> {
        Ok(Self { identity: folder.identity()?, folders: folder.log_folders()? })
    }

    /// Its segments, those that are only kept among them.
    pub(crate) fn archive(&self) -> Result<Archive<'_>> {
        Ok(Archive::open(&Disk, &self.folders, &self.identity.lineage)?)
    }

    /// What a recovery would find. While a process has the store open, something may look damaged that is only being
    /// written: that is believed when it is seen again and again.
    pub(crate) fn look(&self, folder: &Folder) -> Result<Found> {
        let mut looks = 0;
        loop {
            looks += 1;
            let found = self.look_once(folder);
            let is_fine = found.as_ref().is_ok_and(|found| !found.report.is_damaged());
            if is_fine || looks == LOOKS || folder.owner()?.is_none() {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn look_once(&self, folder: &Folder) -> Result<Found> {
        let watermark = match folder.status(&self.identity).and_then(|status| status.figure("watermark")) {
            Some(watermark) => watermark,
            // Nobody says what was flushed: what there is of the log is all that can be judged.
            None => {
                let archive = self.archive()?;
                let first =
                    archive.segments().iter().filter(|segment| !segment.is_kept).map(|segment| segment.first_seq);
                first.min().map_or(0, |first| first.saturating_sub(1))
            }
        };
        let Some((dir, others)) = self.folders.split_first() else {
            return Ok(Found { report: RecoveryReport::default(), watermark });
        };
        let clock = SystemClock::default();
        let recovery = Recovery::new(&Disk, &clock, dir, &self.identity.lineage).also_in(others);
        let report = recovery.watermark(watermark).policy(RecoveryPolicy::Salvage).look();
        Ok(Found { report: report.map_err(Failure::Store)?, watermark })
    }
}
