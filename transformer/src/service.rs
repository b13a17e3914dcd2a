//! The transformer as a service: what it is connected to, what it checks, what it shows.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::{Map, Value};
use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::log::kafka::KafkaArgs;
use tahoe_pipeline::seams::{Log, Sink};
use tahoe_pipeline::service::{
    Check, Health, Measure, Measured, Memory, Process, Readiness, Service, Speaker, connect_kafka,
    host_name,
};
use tahoe_pipeline::stop::Patience;
use tahoe_sink_elasticsearch::{Address, Elasticsearch, ElasticsearchArgs, dataset_templates};
use tokio::runtime::Handle;

use crate::dependencies::Dependencies;
use crate::{MEMORY_BYTES_MAX, TransformArgs, TransformerCounts, keep_transforming};

/// The transformer as a process of its own.
pub struct Transformer;

#[derive(Args)]
#[command(next_help_heading = "Transformer")]
struct TransformerArgs {
    /// Topic that the producers were given in place of their datasets' own
    #[arg(long, env = "KAFKA_TOPIC", value_name = "TOPIC")]
    topic: Option<String>,
    /// Address of Kibana, whose state is told beside those of Kafka and Elasticsearch
    /// (--measure-seconds)
    #[arg(long, env = "KIBANA_URL", value_name = "URL", hide_env_values = true)]
    kibana: Option<Address>,
    #[command(flatten)]
    transform: TransformArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    elasticsearch: ElasticsearchArgs,
}

/// What the service is connected to.
struct Connected {
    log: Arc<dyn Log>,
    sink: Arc<dyn Sink>,
    topics: Vec<String>,
}

impl TransformerArgs {
    fn connect(&self, patience: Patience) -> Result<Connected, String> {
        let log = connect_kafka(&self.kafka, "tahoe-transformer", patience)?;
        if !self.elasticsearch.is_set() {
            return Err("--elasticsearch (ELASTICSEARCH_URL) is not set".to_owned());
        }
        let sink = Elasticsearch::new(&self.elasticsearch, dataset_templates());
        Ok(Connected {
            log,
            sink: Arc::new(sink.map_err(|error| error.to_string())?),
            topics: self.transform.topics(self.topic.as_slice()),
        })
    }
}

impl Service for Transformer {
    fn name(&self) -> &'static str {
        "tahoe-transformer"
    }

    fn about(&self) -> &'static str {
        "Normalises what is in Kafka into ECS and loads it into Elasticsearch"
    }

    fn example(&self) -> &'static str {
        "tahoe-transformer --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200"
    }

    fn arguments(&self, command: Command) -> Command {
        TransformerArgs::augment_args(command)
    }

    fn checks(&self, matches: &ArgMatches) -> Result<Vec<Check>, String> {
        let args = TransformerArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        args.transform.normalize.rules.read()?;
        let Connected { log, sink, topics } = args.connect(Patience::default())?;
        let kafka = move || log.check(&topics).map_err(|error| error.to_string());
        Ok(vec![Check::new("kafka", kafka), sink_check(sink)])
    }

    fn run(&self, matches: &ArgMatches, process: &Process) -> Result<(), String> {
        let args = TransformerArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let Connected { log, sink, topics } = args.connect(process.patience())?;
        let settings = args.transform.settings(args.topic.as_slice(), process.grace)?;
        let kafka = args.kafka.memory_bytes_max(1);
        Memory::of([("batches", MEMORY_BYTES_MAX), ("kafka", kafka)]).log();
        let counts = Arc::new(TransformerCounts::default());
        let runtime = process.runtime.handle();
        let ready = Arc::new(readiness(&log, &sink, topics.clone(), runtime));
        ready.tell();
        let elasticsearch = &args.elasticsearch;
        let dependencies =
            Dependencies::new((&log, &args.kafka), (&sink, elasticsearch), topics, runtime)
                .with_kibana(args.kibana.as_ref(), &elasticsearch.access)?;
        let health = TransformerHealth { counts: Arc::clone(&counts), ready, dependencies };
        let health = Arc::new(health);
        process.show(self.name(), Arc::clone(&health) as _)?;
        let speaker = Speaker { service: self.name(), node: host_name() };
        let (every, patience) = (process.measured_every, process.patience());
        let _until_it_ends = Measured::begin(every, speaker, &log, health, patience);
        keep_transforming(log.as_ref(), &sink, &settings, &process.stop, &counts, runtime)
    }
}

/// What `--check` looks at in Elasticsearch.
pub fn sink_check(sink: Arc<dyn Sink>) -> Check {
    Check::new("elasticsearch", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(sink.check()).map_err(|error| error.to_string())
    })
}

/// Ready while the log, with these topics, and the sink answer.
pub fn readiness(
    log: &Arc<dyn Log>,
    sink: &Arc<dyn Sink>,
    topics: Vec<String>,
    runtime: &Handle,
) -> Readiness {
    let (log, sink, runtime) = (Arc::clone(log), Arc::clone(sink), runtime.clone());
    Readiness::new(move || {
        log.check(&topics).map_err(|error| error.to_string())?;
        runtime.block_on(sink.check()).map(drop).map_err(|error| error.to_string())
    })
}

struct TransformerHealth {
    counts: Arc<TransformerCounts>,
    ready: Arc<Readiness>,
    dependencies: Dependencies,
}

impl Health for TransformerHealth {
    fn metrics(&self, out: &mut String) {
        self.counts.metrics(out);
    }

    fn measures(&self) -> Vec<(&'static str, Measure)> {
        vec![
            ("ConsumerLagSeconds", Measure::Seconds(self.counts.lag.take_seconds(now_ms()))),
            ("RecordsStored", Measure::Total(self.counts.stored.get())),
            ("RecordsDeadLettered", Measure::Total(self.counts.dead_lettered.get())),
        ]
    }

    fn measured(&self) -> Vec<Map<String, Value>> {
        self.counts.measured()
    }

    fn measured_around(&self) -> Vec<Map<String, Value>> {
        self.dependencies.records(&self.counts)
    }

    fn not_ready(&self) -> Option<String> {
        self.ready.failure()
    }
}
