//! Finding files again by what they are, after a restart: at their path, renamed among their
//! siblings, or truncated with a copy beside them.

use std::fs::File;

use tahoe_seams::{Known, SourceError};

use super::Tail;
use super::file::{Place, Tracked};
use super::glob;
use super::identity::{Identity, Likeness, Past, Stat, VERSION, is_sibling_copy, same_birth};
use super::split::decode_context;

impl Tail {
    pub(super) fn resume_one(&mut self, known: &Known) -> Result<(), SourceError> {
        let version = known.identity.get("v").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|v| v > u64::from(VERSION)) {
            let text = "a file's position was stored by a newer Tahoe: update this binary";
            return Err(SourceError::Stop(text.into(), None));
        }
        let Ok(identity) = serde_json::from_value::<Identity>(known.identity.clone()) else {
            tracing::warn!(source = %known.source, "a stored position is not one of a file");
            return Ok(());
        };
        // Files that the settings no longer name keep their position untouched.
        let Some(set) = self.set_of(&identity.path) else { return Ok(()) };
        self.sets[set].is_new = false;
        let now = self.clock.now();
        let stream = self.stream(known.source, known.generation, set, &identity.path);
        let stat = Stat {
            device: 0,
            inode: identity.inode,
            birth_ns: identity.birth_ns,
            size: identity.size,
            is_file: true,
        };
        let same_generation = known.generation == identity.generation;
        let start = if same_generation { identity.start } else { 0 };
        let next = known.next.max(start);
        let (path, real) = (&identity.path, identity.real.clone());
        let mut file = Tracked::new(known.source, set, path, real, stat, stream, next, now);
        file.generation = known.generation;
        file.past = identity.past;
        if same_generation {
            file.fingerprint = identity.fingerprint;
        } else {
            // A generation is begun only when the one before is in the log as a whole.
            file.past.push(Past { read: u64::MAX, fingerprint: identity.fingerprint });
        }
        let (part, context) = decode_context(&known.context);
        (file.part, file.context) = (part, context.to_vec());
        (file.begun, file.changed) = (true, false);
        let gone = identity.gone_since_ms.unwrap_or_else(|| self.clock.wall_ms());
        self.find(&mut file, gone);
        self.files.push(file);
        Ok(())
    }

    /// Finds the file by its inode, birth and bytes, and says in `file` what became of it.
    fn find(&self, file: &mut Tracked, gone_since_ms: i64) {
        let mut paths = vec![file.path.clone(), file.real.clone()];
        paths.extend(glob::siblings(&file.real));
        for path in paths {
            let Ok(stat) = Stat::of_path(&path) else { continue };
            let same = stat.inode == file.stat.inode
                && same_birth(stat.birth_ns, file.stat.birth_ns)
                && stat.is_file;
            if !same || self.files.iter().any(|other| other.stat.is_same_file(&stat)) {
                continue;
            }
            let Ok(handle) = File::open(&path) else {
                // Not readable now: its position waits for it.
                (file.stat, file.real) = (stat, path);
                return;
            };
            let likeness = file.fingerprint.compare(&handle).unwrap_or(Likeness::Same);
            let unknown = file.fingerprint.head.len == 0;
            let at_path = path == file.path;
            if stat.size >= file.position && (unknown || likeness == Likeness::Same) {
                file.place = if at_path { Place::Live } else { Place::Rotated };
                file.stat = stat;
                file.real = std::fs::canonicalize(&path).unwrap_or(path);
                // What cannot be read now is read when the file is opened.
                let _ = file.learn(&handle);
                return;
            }
            // Without a birth time, other bytes elsewhere mean that another file took the inode.
            if at_path || stat.birth_ns != 0 {
                file.stat = stat;
                file.real = std::fs::canonicalize(&path).unwrap_or(path);
                file.place = self.rest_in_copy(file).map_or(Place::Lost, Place::Copied);
                file.handle = Some(handle);
                return;
            }
        }
        file.place = match self.rest_in_copy(file) {
            Some(copy) => Place::Copied(copy),
            None => {
                file.changed = true;
                Place::Gone(gone_since_ms)
            }
        };
    }

    fn rest_in_copy(&self, file: &Tracked) -> Option<File> {
        glob::siblings(&file.real).into_iter().find_map(|path| {
            let stat = Stat::of_path(&path).ok()?;
            let own = stat.is_same_file(&file.stat) || !stat.is_file;
            if own || !is_sibling_copy(&file.real, &path) || stat.size < file.position {
                return None;
            }
            let copy = File::open(&path).ok()?;
            let same = file.fingerprint.compare(&copy).ok()? == Likeness::Same;
            same.then_some(copy)
        })
    }
}
