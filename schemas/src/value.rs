//! What a field may hold. Values borrow from the record or from the event's arena.

use crate::time::Time;

/// The value of one field.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text.
    Str(&'a str),
    /// Text that may be invalid UTF-8; [`crate::Event::set`] repairs it and says so.
    Bytes(&'a [u8]),
    /// A whole number.
    I64(i64),
    /// A whole number.
    U64(u64),
    /// A number; NaN and the infinities are left out.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// A point in time.
    Time(Time),
    /// Several texts.
    List(&'a [&'a str]),
    /// Valid JSON on one line, written as it is. The caller vouches for it.
    Raw(&'a [u8]),
}

macro_rules! value_from {
    ($($kind:ty => $variant:ident as $wide:ty),* $(,)?) => {$(
        impl From<$kind> for Value<'_> {
            fn from(value: $kind) -> Self {
                Self::$variant(<$wide>::from(value))
            }
        }
    )*};
}

value_from!(
    i64 => I64 as i64, i32 => I64 as i64, u64 => U64 as u64, u32 => U64 as u64,
    u16 => U64 as u64, u8 => U64 as u64, f64 => F64 as f64, bool => Bool as bool,
    Time => Time as Time,
);

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::U64(value as u64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Str(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a> From<&'a [&'a str]> for Value<'a> {
    fn from(value: &'a [&'a str]) -> Self {
        Self::List(value)
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for Value<'a> {
    fn from(value: &'a [&'a str; N]) -> Self {
        Self::List(value)
    }
}
