//! The topics that a command reads: those that it is told, which must be there, or else those that
//! there are of the usual ones.

use tahoe_seams::{Log, LogError};

/// `named`, or what there is of `usual`; each once.
pub fn chosen(
    log: &dyn Log,
    named: &[String],
    usual: impl IntoIterator<Item = String>,
) -> anyhow::Result<Vec<String>> {
    let mut topics: Vec<_> = named.iter().filter(|topic| !topic.is_empty()).cloned().collect();
    let must_be_there = !topics.is_empty();
    if !must_be_there {
        topics = usual.into_iter().filter(|topic| !topic.is_empty()).collect();
    }
    topics.sort();
    topics.dedup();
    let mut there = Vec::new();
    for topic in topics {
        match log.partitions(&topic) {
            Ok(_) => there.push(topic),
            Err(LogError::NoTopic(_)) if !must_be_there => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}
