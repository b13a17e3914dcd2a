//! What containers write to their standard output and error, as their runtime keeps it in files.
//!
//! Docker's `json-file` (<https://docs.docker.com/engine/logging/drivers/json-file/>):
//! `{"log":"text\n","stream":"stdout","attrs":{…},"time":"…"}`. CRI, as containerd and CRI-O write
//! it for Kubernetes
//! (<https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>):
//! `<time> stdout F text`.
//!
//! Runtimes cut long lines: a piece of Docker's has no line end, one of CRI's is tagged `P`. A
//! record goes on until no line of either stream is cut, so it may hold several events where one stream
//! wrote while a line of the other was cut. Container, pod and namespace are in the file's path. A
//! message that is a JSON object is taken apart as `app.json` does.
//!
//! The samples are composed by the pages above, values invented.

mod framer;
mod line;
mod parser;
mod path;

use crate::Dataset;

/// `container.log`
pub static DATASET: Dataset = Dataset {
    name: "container.log",
    module: "container",
    framer: &framer::OutputFramer,
    normalizer: &parser::Output,
};
