//! The normalized form as it comes into being, whichever way the data comes: as text (`normalize.rs`) or straight from a
//! value (`serialize.rs`). It knows the open containers, so it finds what is too deep and what stands twice, and it puts
//! in what the special fields are.

use super::lexer;
use super::names::{Frames, Within};
use super::normalize::{Normalized, Rules};
use super::special::{Given, Kind, Resolved, Special};
use crate::error::{Error, Result};
use crate::timestamp::TimestampPolicy;

#[derive(Debug)]
pub(super) struct Form<'a, 'r> {
    pub(super) out: String,
    pub(super) frames: Frames,
    specials: &'r [Special<'a>],
    fields: Vec<Option<Resolved<'a>>>,
    /// The special field whose value is passed over, and how long `out` was before that value.
    replacing: Option<(usize, usize)>,
    policy: &'r TimestampPolicy,
}

impl<'a, 'r> Form<'a, 'r> {
    /// For data of about so many bytes.
    pub(super) fn new(bytes: usize, specials: &'r [Special<'a>], rules: &'r Rules) -> Self {
        Self {
            // Room for a timestamp and a name that are appended.
            out: String::with_capacity(bytes + 96),
            frames: Frames::new(rules.max_depth),
            specials,
            fields: vec![None; specials.len()],
            replacing: None,
            policy: &rules.timestamps,
        }
    }

    pub(super) fn finish(self, rules: &Rules) -> Result<Normalized<'a>> {
        if self.out.len() > rules.max_bytes {
            let (found, limit) = (self.out.len(), rules.max_bytes);
            return Err(Error::input(format!("data takes {found} bytes of JSON text, more than the {limit} allowed")));
        }
        self.frames.end();
        let fields = self.fields.into_iter().map(|field| field.unwrap_or(Resolved::Null)).collect();
        Ok(Normalized { text: self.out, fields })
    }

    /// Opens an object or an array.
    #[inline]
    pub(super) fn open(&mut self, object: bool) -> Result<()> {
        if self.frames.open(object) { Ok(()) } else { Err(self.too_deep()) }
    }

    #[cold]
    fn too_deep(&self) -> Error {
        let (path, limit) = (self.frames.path(Within::Value), self.frames.limit());
        Error::input(format!("{path} is nested deeper than the {limit} levels allowed"))
    }

    /// Begins a member of the innermost object. Answers which special field it is, and what was given for that.
    #[inline]
    pub(super) fn name(&mut self, name: &str) -> Result<Option<(usize, &'r Special<'a>)>> {
        let special = match self.frames.depth() {
            1 => self.specials.iter().enumerate().find(|(_, special)| special.name == name),
            _ => None,
        };
        let converts = match self.policy {
            TimestampPolicy::All => true,
            TimestampPolicy::Fields(names) => names.contains(name),
            TimestampPolicy::Off => false,
        };
        if self.frames.name(name, converts) { Ok(special) } else { Err(self.twice()) }
    }

    #[cold]
    fn twice(&self) -> Error {
        Error::input(format!("{} stands there twice", self.frames.path(Within::Value)))
    }

    /// What comes next in `out` is the value of a special field, in whose place an argument will stand.
    pub(super) fn replace(&mut self, index: usize) {
        self.replacing = Some((index, self.out.len()));
    }

    /// Ends a value in the outermost object. Where an argument replaces it, it is taken back, and the answer is `true`.
    #[inline]
    pub(super) fn end_value(&mut self) -> bool {
        if self.replacing.is_none() || self.frames.depth() != 1 {
            return false;
        }
        let Some((index, before)) = self.replacing.take() else { return false };
        self.out.truncate(before);
        if let Some(Special { given: Given::Argument(value), .. }) = self.specials.get(index) {
            value.write(&mut self.out);
            self.set(index, value.clone());
        }
        true
    }

    /// What a special field has to be.
    pub(super) fn kind(&self, index: usize) -> Kind {
        self.specials.get(index).map_or(Kind::Text, |special| special.kind)
    }

    /// Takes what the data says of a special field. Where it is to stand otherwise in the text, the answer is `true`, and
    /// [`write_field`](Self::write_field) writes it.
    pub(super) fn field(&mut self, index: usize, found: Result<Resolved<'a>, String>) -> Result<bool> {
        let found = found.map_err(|why| Error::input(format!("{}: {why}", self.frames.path(Within::Value))))?;
        let (rewritten, value) = match (found, self.specials.get(index).map(|special| &special.given)) {
            (Resolved::Null, Some(Given::Default(default))) => (true, default.clone()),
            (found, _) => (matches!(found, Resolved::Timestamp(_)), found),
        };
        self.set(index, value);
        Ok(rewritten)
    }

    pub(super) fn write_field(&mut self, index: usize) {
        if let Some(Some(value)) = self.fields.get(index) {
            value.write(&mut self.out);
        }
    }

    /// Appends the special fields that the outermost object, which is about to end, does not have.
    pub(super) fn append_missing(&mut self) {
        let mut first = self.frames.is_empty();
        for (index, special) in self.specials.iter().enumerate() {
            let absent = self.fields.get(index).is_some_and(Option::is_none);
            if let (true, Given::Default(value) | Given::Argument(value)) = (absent, &special.given) {
                if !std::mem::take(&mut first) {
                    self.out.push(',');
                }
                lexer::quote(special.name, &mut self.out);
                self.out.push(':');
                value.write(&mut self.out);
                self.set(index, value.clone());
            }
        }
    }

    fn set(&mut self, index: usize, value: Resolved<'a>) {
        if let Some(field) = self.fields.get_mut(index) {
            *field = Some(value);
        }
    }
}
