//! The embedded store keeps the promises of every store.

use tahoe_seams::Sink;
use tahoe_seams::search::Search;
use tahoe_sink_embedded::{EmbeddedStore, Settings};
use tahoe_tests::sink_contract::Store;

struct Folder {
    /// None only while it is reopened: a folder has one writer.
    store: Option<EmbeddedStore>,
    folder: tempfile::TempDir,
}

impl Folder {
    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().expect("it is open between two calls")
    }
}

#[async_trait::async_trait]
impl Store for Folder {
    fn sink(&self) -> &dyn Sink {
        self.store()
    }

    fn search(&self) -> &dyn Search {
        self.store()
    }

    async fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(open_in(&self.folder));
    }
}

fn open_in(folder: &tempfile::TempDir) -> EmbeddedStore {
    EmbeddedStore::open(folder.path(), Settings::default()).expect("a store in a new folder")
}

#[expect(clippy::unused_async, reason = "opening a store over the network waits")]
async fn open() -> Option<Folder> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Some(Folder { store: Some(open_in(&folder)), folder })
}

tahoe_tests::sink_contract!(open);
