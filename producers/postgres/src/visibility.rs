//! Which transactions a snapshot saw, as `pg_current_snapshot()` writes it: `xmin:xmax:xip,…`.

/// What a statement saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visibility {
    /// All before it had ended.
    xmin: u64,
    /// None from it on had begun.
    xmax: u64,
    /// Still running of those between.
    running: Vec<u64>,
}

impl Visibility {
    /// None if it is no snapshot.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse().ok();
        let (xmin, xmax) = (number()?, number()?);
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        let running = running.map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
        Some(Self { xmin, xmax, running })
    }

    /// True if what that transaction did was seen. Streams count in 32 bits, so a transaction is
    /// the one of its number that is nearest.
    pub fn saw(&self, xid: u32) -> bool {
        let behind = (self.xmax as u32).wrapping_sub(xid).cast_signed();
        let xid = self.xmax.wrapping_add_signed(-i64::from(behind));
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_running_or_had_not_begun_was_not_seen() {
        let saw = Visibility::parse("100:105:101,103").expect("a snapshot");
        let seen: Vec<_> = (98..108).filter(|xid| saw.saw(*xid)).collect();
        assert_eq!(seen, [98, 99, 100, 102, 104]);
        assert!(Visibility::parse("100:100:").expect("a snapshot").saw(99));
        assert_eq!(Visibility::parse("no"), None);
    }

    #[test]
    fn numbers_that_begin_again_are_taken_for_the_nearest() {
        let wrapped = (1_u64 << 32) + 5;
        let saw = Visibility::parse(&format!("{}:{wrapped}:", wrapped - 10)).expect("a snapshot");
        assert!(saw.saw(u32::MAX) && saw.saw(4));
        assert!(!saw.saw(5) && !saw.saw(6));
    }
}
