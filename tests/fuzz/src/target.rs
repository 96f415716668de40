//! The list of targets.

use crate::{data, folder, log, segment, text};

/// Something that reads bytes which may be anything.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads an input and panics where something is wrong.
    pub run: fn(&[u8]),
    /// Puts the checksums of an input right, so that what lies behind them is reached.
    pub mend: fn(&mut Vec<u8>),
}

fn nothing(_: &mut Vec<u8>) {}

/// All of them.
pub static TARGETS: [Target; 13] = [
    Target { name: "line", run: log::line, mend: log::mend_lines },
    Target { name: "segment", run: segment::run, mend: log::mend_lines },
    Target { name: "kept", run: log::kept, mend: log::mend_header },
    Target { name: "segment-name", run: log::name, mend: nothing },
    Target { name: "lock", run: folder::lock, mend: nothing },
    Target { name: "timestamp", run: text::timestamp, mend: nothing },
    Target { name: "date", run: text::date, mend: nothing },
    Target { name: "extra-schema", run: data::schema, mend: nothing },
    Target { name: "value", run: data::value, mend: nothing },
    Target { name: "normalize", run: data::normalized, mend: nothing },
    Target { name: "backup-manifest", run: folder::manifest, mend: nothing },
    Target { name: "store-json", run: folder::identity, mend: nothing },
    Target { name: "journal", run: folder::journal, mend: folder::mend_journal },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
