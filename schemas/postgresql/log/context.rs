//! What the framer carries: `log_line_prefix` between two bytes 01, if the producer began the
//! context with it, and the text of the last stamp. Records that need neither are given none.

use std::cell::RefCell;

use super::prefix::LinePrefix;

/// Around the setting; no setting and no stamp has it.
const MARK: u8 = 1;

/// A context as a producer begins it that knows the server's `log_line_prefix`.
pub fn beginning(setting: &str) -> Vec<u8> {
    let mut context = vec![MARK];
    context.extend(setting.bytes().filter(|byte| *byte != MARK));
    context.push(MARK);
    context
}

/// The setting and the stamp.
pub(super) fn split(context: &[u8]) -> (Option<&str>, &[u8]) {
    let Some(rest) = context.strip_prefix(&[MARK]) else { return (None, context) };
    let Some(end) = memchr::memchr(MARK, rest) else { return (None, b"") };
    (std::str::from_utf8(&rest[..end]).ok(), &rest[end + 1..])
}

/// Replaces the stamp.
pub(super) fn carry(stamp: &[u8], context: &mut Vec<u8>) {
    let (_, old) = split(context);
    context.truncate(context.len() - old.len());
    context.extend_from_slice(stamp);
}

thread_local! {
    /// Memory only: the setting compiled last.
    static COMPILED: RefCell<Option<(String, Option<LinePrefix>)>> = const { RefCell::new(None) };
}

/// Calls `work` with the compiled setting of a context; one with an unknown escape is as none.
pub(super) fn with_prefix<T>(context: &[u8], work: impl FnOnce(Option<&LinePrefix>) -> T) -> T {
    let (Some(setting), _) = split(context) else { return work(None) };
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.as_ref().is_none_or(|(of, _)| of != setting) {
            *compiled = Some((setting.to_owned(), LinePrefix::compile(setting).ok()));
        }
        work(compiled.as_ref().and_then(|(_, prefix)| prefix.as_ref()))
    })
}
