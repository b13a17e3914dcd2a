//! Bare librdkafka with the settings of ours: the same records sent and received by a loop that
//! does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;
use tahoe_pipeline::header;
use tahoe_pipeline::log::kafka::{KafkaArgs, KafkaLog};
use tahoe_schemas::{datasets, frame_all};
use tahoe_seams::{Origin, RecordId, SourceId};

use crate::generate::Kind;
use crate::measure::Meter;
use crate::produce::ProduceArgs;
use crate::topics;

/// After this long without a record, a topic has no more.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub struct FloorArgs {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(clap::Subcommand)]
enum Direction {
    /// Send the records of a file
    #[command(after_help = "Example: tahoe-bench floor produce laravel laravel.log \
                            --topic bench_floor --kafka 127.0.0.1:9092")]
    Produce(ProduceArgs),
    /// Receive what `produce` or `floor produce` has sent
    #[command(
        after_help = "Example: tahoe-bench floor consume laravel --topic bench --events 1000000 \
                            --kafka 127.0.0.1:9092"
    )]
    Consume(ReceiveArgs),
}

#[derive(clap::Args)]
struct ReceiveArgs {
    /// What kind of records the topic holds
    kind: Kind,
    /// Topic
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// How many records it holds; in packs, each of them counts
    #[arg(long, value_name = "N")]
    events: u64,
    #[command(flatten)]
    kafka: KafkaArgs,
}

pub fn run(args: FloorArgs) -> anyhow::Result<()> {
    match args.direction {
        Direction::Produce(args) => produce(args),
        Direction::Consume(args) => consume(args),
    }
}

/// What will be sent: a value and its header.
struct Envelope {
    value: std::ops::Range<usize>,
    header: Vec<u8>,
}

fn produce(args: ProduceArgs) -> anyhow::Result<()> {
    let log = KafkaLog::connect(&args.kafka, "tahoe-bench")?;
    topics::set_up(&log, &args.kafka, &args.topic)?;
    drop(log);
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let (envelopes, events) = envelopes(&args, &bytes)?;
    let producer: BaseProducer = args.kafka.producer("tahoe-bench")?.create()?;
    let meter = Meter::from_here();
    for envelope in &envelopes {
        let header = Header { key: header::NAME, value: Some(&envelope.header) };
        let mut record = BaseRecord::to(&args.topic)
            .partition(0)
            .payload(&bytes[envelope.value.clone()])
            .key("bench/laravel.log")
            .headers(OwnedHeaders::new_with_capacity(1).insert(header));
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            producer.poll(Duration::from_millis(5));
        }
    }
    producer.flush(PATIENCE)?;
    let more = json!({"kind": args.kind.name(), "pack": args.pack_bytes});
    meter.finish("floor produce", events, more)
}

/// Cuts the file as our producer would, with headers of the same kind and size.
fn envelopes(args: &ProduceArgs, bytes: &[u8]) -> anyhow::Result<(Vec<Envelope>, u64)> {
    let dataset = datasets::find(args.kind.dataset()).context("the dataset is in the list")?;
    let origin = Origin {
        source: SourceId([7; 16]),
        dataset: dataset.name.to_owned(),
        namespace: "default".to_owned(),
        host: "bench".to_owned(),
        path: args.file.to_string_lossy().into_owned(),
        ..Origin::default()
    };
    let encoded = header::encode_origin(&origin);
    let (mut envelopes, mut events, mut at) = (Vec::new(), 0, 0);
    let mut lengths = Vec::new();
    let mut flush = |lengths: &mut Vec<(u32, u32)>, from: usize, to: usize| {
        let (span, mut header) = ((from as u64, to as u64), Vec::new());
        if args.pack_bytes == 0 {
            let id = RecordId::new(1_800_000_000_000, origin.source, 0, span, &bytes[from..to]);
            header::encode(&mut header, id, span, None, b"", &encoded);
        } else {
            header::encode_pack(&mut header, 1_800_000_000_000, span.0, lengths, &encoded);
        }
        lengths.clear();
        envelopes.push(Envelope { value: from..to, header });
    };
    let mut end = 0;
    frame_all(dataset.framer, bytes, &mut |frame| {
        let start = frame.start as usize;
        if !lengths.is_empty() && start + frame.bytes.len() - at > args.pack_bytes {
            flush(&mut lengths, at, end);
        }
        if lengths.is_empty() {
            at = start;
        }
        end = start + frame.bytes.len();
        lengths.push((frame.bytes.len() as u32, (frame.end - frame.start) as u32));
        events += 1;
    });
    if !lengths.is_empty() {
        flush(&mut lengths, at, end);
    }
    Ok((envelopes, events))
}

fn consume(args: ReceiveArgs) -> anyhow::Result<()> {
    let group = format!("tahoe-bench-floor-{}", std::process::id());
    let consumer: BaseConsumer = args.kafka.consumer("tahoe-bench", &group)?.create()?;
    let all = records_of(&consumer, &args.topic)?;
    consumer.subscribe(&[&args.topic])?;
    let mut meter = Meter::of_process();
    let (mut records, mut since) = (0, Instant::now());
    while records < all {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                std::hint::black_box(message?.payload());
                // A group takes seconds to form.
                if records == 0 {
                    meter.begin();
                }
                records += 1;
                since = Instant::now();
            }
            None if since.elapsed() > PATIENCE => bail!("{records} of {all} records came"),
            None => {}
        }
    }
    let more = json!({"kind": args.kind.name(), "topic": args.topic, "kafka_records": records});
    meter.finish("floor consume", args.events, more)
}

/// How many Kafka records a topic holds.
fn records_of(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i64> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topic_metadata = metadata.topics().first().context("a topic was asked for")?;
    let mut records = 0;
    for partition in topic_metadata.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        records += high - low;
    }
    Ok(records)
}
