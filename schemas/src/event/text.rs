//! Bytes as text: what of a record is known to be UTF-8, and to have no escapes, so that its parts are
//! not looked at again.

use super::Event;
use crate::Transformation;
use crate::find::place;

/// Of a longer record, an event may be a small part.
const RECORD_BYTES_USUAL: usize = 4096;

impl<'a> Event<'a> {
    /// Bytes as text. Invalid UTF-8 becomes U+FFFD, recorded as `utf8_repaired`. Best done once
    /// for the whole record: what is inside of it is not looked at again.
    pub fn text(&mut self, bytes: &'a [u8]) -> &'a str {
        let text = match self.sound(bytes) {
            Some(text) => text,
            None => self.repaired(bytes),
        };
        if text.len() > self.sound.len() {
            self.sound = text;
            self.sound_escapes.set(None);
        }
        text
    }

    /// The longest text that was found to be UTF-8: that of the record.
    pub(crate) fn known_text(&self) -> &'a str {
        self.sound
    }

    /// Where a part of the record begins in it; where the record ends if it is no part of it.
    pub(crate) fn place_of(&self, part: &[u8]) -> usize {
        place(self.sound.as_bytes(), part)
    }

    /// Bytes as text, if they are UTF-8.
    pub(crate) fn sound(&self, bytes: &'a [u8]) -> Option<&'a str> {
        // A part of what is known to be text is text if no character is cut.
        let at = bytes.as_ptr().addr().wrapping_sub(self.sound.as_ptr().addr());
        let inside = self.sound.get(at..at.wrapping_add(bytes.len()));
        inside.or_else(|| std::str::from_utf8(bytes).ok())
    }

    /// The text of the whole record, of which this event may be a part.
    pub(crate) fn set_known_text(&mut self, text: &'a str) {
        self.sound = text;
        self.sound_escapes.set(None);
    }

    /// Whether a text has a backslash. One look at a record answers for all of its parts, which
    /// seldom have any.
    pub(crate) fn has_escapes(&self, text: &str) -> bool {
        let has = |text: &str| memchr::memchr(b'\\', text.as_bytes()).is_some();
        let (part, record) = (text.as_bytes().as_ptr_range(), self.sound.as_bytes().as_ptr_range());
        let is_part = record.start <= part.start && part.end <= record.end;
        if !is_part || self.sound.len() > RECORD_BYTES_USUAL {
            return has(text);
        }
        let in_record = self.sound_escapes.get().unwrap_or_else(|| {
            let found = has(self.sound);
            self.sound_escapes.set(Some(found));
            found
        });
        in_record && has(text)
    }

    fn repaired(&mut self, bytes: &'a [u8]) -> &'a str {
        self.transformation(Transformation::Utf8Repaired);
        let mut repaired = self.string(bytes.len() + 16);
        for chunk in bytes.utf8_chunks() {
            repaired.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                repaired.push(char::REPLACEMENT_CHARACTER);
            }
        }
        repaired.into_bump_str()
    }
}
