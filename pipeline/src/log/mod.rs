//! The durable logs: Apache Kafka, and the embedded one.
