//! Files as sources: what every producer that tails has in common.

use tahoe_schemas::datasets;

use super::{Place, Planned};
use crate::tail::{PathSet, Tail, check_pattern};

/// The set of files at `patterns` that hold `dataset`.
///
/// # Errors
/// Names `setting` if there is no such dataset, if a pattern is none, or if a path that is no pattern
/// cannot be read.
pub fn path_set(
    setting: &str,
    dataset: &str,
    patterns: Vec<String>,
    place: &Place,
) -> Result<PathSet, String> {
    let found = datasets::named(dataset).map_err(|error| format!("{setting} {error}"))?;
    for path in &patterns {
        check_pattern(path).map_err(|error| format!("{setting} {error}"))?;
        readable(setting, path)?;
    }
    let declared = found.declared();
    Ok(PathSet {
        patterns,
        dataset: dataset.to_owned(),
        framer: found.framer,
        context: Vec::new(),
        topic: place.topic.clone().unwrap_or_else(|| declared.topic.to_owned()),
        namespace: place.namespace.clone(),
        time_zone: place.time_zone.clone(),
        labels: place.labels.clone(),
        tags: place.tags.clone(),
    })
}

/// One source that tails all of `sets`, under one name.
///
/// # Errors
/// Names the pattern or the setting that cannot be.
pub fn plan_files(name: &str, sets: Vec<PathSet>, place: &Place) -> Result<Planned, String> {
    place.fitting("--record-bytes-max", Some(place.tail.record_bytes_max))?;
    let open =
        |sets: &[PathSet], place: &Place| Tail::new(&place.host, sets.to_vec(), place.tail.clone());
    let notes = open(&sets, place).map_err(|error| error.to_string())?.describe();
    let mut topics: Vec<String> = sets.iter().map(|set| set.topic.clone()).collect();
    topics.dedup();
    let place = place.clone();
    Ok(Planned {
        name: name.to_owned(),
        notes,
        waits_for_others: false,
        topics,
        open: Box::new(move || Ok(Box::new(open(&sets, &place)?))),
        inspect: None,
    })
}

/// A file that is not there yet may come; one that is there must be readable.
fn readable(setting: &str, path: &str) -> Result<(), String> {
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(metadata) if metadata.is_dir() => Err(format!(
            "{setting} {path}: is a folder; name a file, or a pattern like {path}/*.log"
        )),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(format!("{setting} {path}: {error}; let this user read it, or leave it out"))
        }
        _ => Ok(()),
    }
}
