//! Memory is bounded by bytes, and what the bound is made of is logged at start. What a reader
//! holds beside (a listener's connections) it logs itself.

/// What holds records in a process, and how many bytes at most.
pub struct Memory(Vec<(&'static str, usize)>);

impl Memory {
    /// Made of these parts.
    pub fn of(parts: impl IntoIterator<Item = (&'static str, usize)>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// All of it.
    pub fn bytes_max(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Each part.
    pub fn parts(&self) -> String {
        let part = |(name, bytes): &(&str, usize)| format!("{name} {bytes}");
        self.0.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// Says it.
    pub fn log(&self) {
        tracing::info!(bytes_max = self.bytes_max(), parts = self.parts(), "memory is bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_sum_of_its_parts() {
        let memory = Memory::of([("batches", 9), ("kafka", 40)]);
        assert_eq!((memory.bytes_max(), &*memory.parts()), (49, "batches 9, kafka 40"));
    }
}
