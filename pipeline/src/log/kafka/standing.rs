//! What a commit of ours says beside its offset, as Kafka's metadata: that we made it, at which
//! offset, and up to which one the group reads again what it, or another group, may have stored.
//! Whoever sets a group back writes none, or leaves ours beside another offset.
//!
//! `tahoe 1 NEXT`, or `tahoe 1 NEXT END` while records before END are read again.

/// Where a group stands in a partition, as it said itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The committed offset.
    pub next: i64,
    /// Records before it may have been stored at any time.
    pub replayed_to: i64,
}

const MARK: &str = "tahoe";
const VERSION: &str = "1";

impl Standing {
    /// The metadata of a commit.
    pub fn text(self) -> String {
        let Self { next, replayed_to } = self;
        match replayed_to > next {
            true => format!("{MARK} {VERSION} {next} {replayed_to}"),
            false => format!("{MARK} {VERSION} {next}"),
        }
    }

    /// What we said when this offset was committed; `None` if it was not us, or a newer version,
    /// so that everything is looked up.
    pub fn read(metadata: &str, committed: i64) -> Option<Self> {
        let mut words = metadata.split(' ');
        if (words.next(), words.next()) != (Some(MARK), Some(VERSION)) {
            return None;
        }
        let next = words.next()?.parse().ok()?;
        let replayed_to = words.next().map_or(Some(next), |end| end.parse().ok())?;
        (next == committed && words.next().is_none()).then_some(Self { next, replayed_to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_says_how_far_the_group_reads_again_until_it_is_there() {
        for (replayed_to, text) in [(0, "tahoe 1 70"), (70, "tahoe 1 70"), (90, "tahoe 1 70 90")] {
            let standing = Standing { next: 70, replayed_to };
            assert_eq!(standing.text(), text);
            let read = Standing::read(text, 70).expect("ours");
            assert_eq!(read, Standing { next: 70, replayed_to: replayed_to.max(70) });
        }
    }

    #[test]
    fn what_others_committed_is_not_taken_for_ours() {
        for metadata in ["", "tahoe", "tahoe 1", "tahoe 2 70", "tahoe 1 x", "tahoe 1 70 90 1"] {
            assert_eq!(Standing::read(metadata, 70), None, "{metadata}");
        }
        assert_eq!(Standing::read("tahoe 1 70", 0), None, "it was set back");
    }
}
