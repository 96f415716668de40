//! The names of what is compared, as the table and the file of figures have them.

use std::fmt;

/// A store of the table. With a variant it is a diagnostic: printed, and left out of the file of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) store: &'static str,
    pub(crate) variant: Option<&'static str>,
    /// What kind of bare program the floor is; printed only.
    kind: Option<&'static str>,
}

/// The stores that persist stands beside.
pub(crate) const PEERS: [&str; 5] = ["sqlite", "redb", "fjall", "lmdb", "rocksdb"];

pub(crate) const PERSIST: Name = Name::store("persist");

impl Name {
    pub(crate) const fn store(store: &'static str) -> Self {
        Self { store, variant: None, kind: None }
    }

    /// What a workload must cost; there is one for each.
    pub(crate) const fn floor(kind: &'static str) -> Self {
        Self { store: "floor", variant: None, kind: Some(kind) }
    }

    /// The same store in another way, as a diagnostic.
    pub(crate) const fn variant(self, variant: &'static str) -> Self {
        Self { variant: Some(variant), kind: None, ..self }
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.store == "floor" && self.variant.is_none()
    }

    pub(crate) fn is_peer(&self) -> bool {
        !matches!(self.store, "persist" | "floor") && self.variant.is_none()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.variant, self.kind) {
            (Some(variant), _) => format!("{}, {variant}", self.store),
            (None, Some(kind)) => format!("{}: {kind}", self.store),
            (None, None) => self.store.to_owned(),
        };
        f.pad(&text)
    }
}
