//! Which events are stored, where not all of them are wanted.
//!
//! ```text
//! # DATASET       FIELD           VALUE       KEEP    NAME
//! *               log.level       debug       none    debug
//! nginx.access    url.path        /health*    1/100   health
//! laravel.log     log.file.path   */test.log  none    tests
//! ```
//!
//! The first row that matches counts; what no row knows is kept. A `*` in VALUE stands for any text.
//! KEEP is `all`, `none`, or `1/N` for one record in N, chosen by its identity: the same record is
//! always kept, or always left out. What is left out is counted by NAME. Rows that are kept as they
//! are now follow every change all the same.

use std::sync::Arc;

use tahoe_seams::RecordId;

use super::pattern::Pattern;
use super::place::Place;
use super::table::{Row, rules};
use crate::Event;

/// The rows, in their order.
#[derive(Debug, Default)]
pub struct Sampling {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    dataset: Option<&'static str>,
    place: Place,
    value: Pattern,
    keep: Keep,
    name: Arc<str>,
}

#[derive(Debug)]
enum Keep {
    All,
    None,
    OneIn(u64),
}

impl Keep {
    fn read(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "none" => Some(Self::None),
            _ => {
                let number = text.strip_prefix("1/")?.parse().ok()?;
                (number > 0).then_some(Self::OneIn(number))
            }
        }
    }

    fn has(&self, id: RecordId) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            // Behind the time the id is a hash.
            Self::OneIn(number) => {
                let (_, hash) = id.0.split_at(size_of::<u64>());
                let hash = hash.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                hash.is_multiple_of(*number)
            }
        }
    }
}

impl Sampling {
    /// Reads a table of rules.
    ///
    /// # Errors
    /// Name the file and the line.
    pub fn read(file: &str, text: &str) -> Result<Self, String> {
        Ok(Self { rules: rules(file, text, rule)? })
    }

    /// The name of the rule by which an event is left out.
    pub(crate) fn leaves_out(&self, event: &Event<'_>, id: RecordId) -> Option<&Arc<str>> {
        let matches = |rule: &&Rule| {
            rule.dataset.is_none_or(|dataset| dataset == event.dataset().name)
                && rule.place.text(event).is_some_and(|text| rule.value.matched(text).is_some())
        };
        let rule = self.rules.iter().find(matches)?;
        (!rule.keep.has(id)).then_some(&rule.name)
    }
}

fn rule(row: &Row<'_>) -> Result<Rule, String> {
    let [dataset, field, value, keep, name] = row.words[..] else {
        return Err("a row has five words: DATASET FIELD VALUE KEEP NAME".to_owned());
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("{name}: only letters, digits, _, - and . make a NAME"));
    }
    Ok(Rule {
        dataset: Row::dataset(dataset)?,
        place: Place::named(field)?,
        value: Pattern::read(value)?,
        keep: Keep::read(keep).ok_or_else(|| format!("{keep}: KEEP is all, none or 1/N"))?,
        name: name.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let error = |text: &str| Sampling::read("keep", text).expect_err("refused");
        for (text, expected) in [
            ("* log.level debug none", "keep:1: a row has five words"),
            ("\n* log.level debug 1/0 x", "keep:2: 1/0: KEEP is all"),
            ("nope log.level debug none x", "keep:1: nope: no such dataset"),
            ("* no.field debug none x", "keep:1: no.field is a field neither"),
            ("* log.level *a* none x", "keep:1: *a*: one * at most"),
            ("* log.level debug none a{b", "keep:1: a{b: only letters"),
        ] {
            assert!(error(text).starts_with(expected), "{}", error(text));
        }
    }

    #[test]
    fn one_in_so_many_is_kept_whatever_the_time_of_their_ids() {
        let id = |n: u64| {
            let mut id = [0; 16];
            id[..6].copy_from_slice(&n.to_be_bytes()[2..]);
            id[8..].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            RecordId(id)
        };
        let kept = (0..10_000).filter(|n| Keep::OneIn(10).has(id(*n))).count();
        assert!((800..1200).contains(&kept), "{kept}");
        assert!(Keep::All.has(id(1)) && !Keep::None.has(id(1)));
    }
}
