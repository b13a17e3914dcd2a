//! A collection that goes on changing, and a witness of its changes that is not ours: the driver's
//! own change stream.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, cstr, doc};
use serde_json::Value;
use tahoe_tests::mongodb::Database;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::wait::until;

use crate::rebuilt::{Record, rebuild};

/// Changes a second: what an unoptimised build keeps up with.
const PAUSE: Duration = Duration::from_millis(2);

/// A database whose collection `orders` changes.
pub struct Shop(Database);

impl Deref for Shop {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl Shop {
    /// `None` skips the test.
    pub fn open(name: &str) -> Option<Self> {
        Database::open(name).map(Self)
    }

    /// The same on a server of its own.
    pub fn open_another(name: &str) -> Option<Self> {
        Database::open_another(name).map(Self)
    }

    fn orders(&self) -> Collection<Document> {
        self.db.collection("orders")
    }

    /// Documents, with ids of three kinds.
    pub fn fill(&self, documents: usize) {
        let all = (0..documents).map(|n| document(id(n), n as u64));
        let orders = self.orders();
        self.runtime.block_on(async { orders.insert_many(all).await }).expect("inserted");
    }

    /// How many documents there are.
    pub fn count(&self) -> usize {
        let orders = self.orders();
        let count = self.runtime.block_on(async { orders.count_documents(doc! {}).await });
        usize::try_from(count.expect("counted")).expect("few")
    }

    /// Begins to watch.
    pub fn witness(&self) -> Witness {
        let orders = self.orders();
        let watched = async { orders.watch().max_await_time(Duration::from_millis(20)).await };
        let mut stream = self.runtime.block_on(watched).expect("it can be watched");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = self.runtime.spawn(async move {
            let mut positions = Vec::new();
            loop {
                let ending = stopped.load(Ordering::SeqCst);
                match stream.next_if_any().await.expect("it goes on") {
                    Some(event) => {
                        let token = serde_json::to_value(event.id).expect("a token");
                        positions.push(token["_data"].as_str().expect("a text").to_owned());
                    }
                    None if ending => return positions,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Witness { stop, thread, runtime: self.runtime.handle().clone() }
    }

    /// Changes random documents in the background.
    pub fn change_until_stopped(&self) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, orders) = (Arc::clone(&stop), self.orders());
        let runtime = self.runtime.handle().clone();
        let thread = std::thread::spawn(move || {
            let mut random = 7_u64;
            for n in 1_000_000.. {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // Knuth's linear congruence: the same changes in each run.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                runtime.block_on(change(&orders, random >> 33, n));
                std::thread::sleep(PAUSE);
            }
        });
        Writer { stop, thread }
    }

    /// What the collection holds, as a snapshot in a pipeline of its own tells it; each document's
    /// `n` is compared with what the driver reads.
    pub fn contents(&self, fresh: &Pipeline) -> BTreeMap<String, Value> {
        let arguments = ["--mongo-host", &self.server, "--mongo-db", &self.name];
        let producer = fresh.start("tahoe-mongodb", &arguments);
        let count = self.count();
        until("the fresh snapshot ends", || match fresh.in_kafka().len() {
            found if found == count => Ok(()),
            found => Err(format!("{found} of {count} are there")),
        });
        producer.stop();
        let records: Vec<_> =
            fresh.in_kafka().iter().map(|record| Record::parse(&record.text)).collect();
        let contents = rebuild(&records);
        self.assert_numbers(contents.values());
        contents
    }

    fn assert_numbers<'v>(&self, contents: impl Iterator<Item = &'v Value>) {
        let orders = self.orders();
        let mut expected: Vec<i64> = self.runtime.block_on(async {
            let mut cursor = orders.find(doc! {}).await.expect("found");
            let mut numbers = Vec::new();
            while cursor.advance().await.expect("found") {
                numbers.push(cursor.current().get_i64("n").expect("each has one"));
            }
            numbers
        });
        let mut found: Vec<i64> = contents.filter_map(|document| document["n"].as_i64()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// Changes that go on.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Ends them.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the changes could be made");
    }
}

/// A watcher of all changes.
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: tokio::task::JoinHandle<Vec<String>>,
    runtime: tokio::runtime::Handle,
}

impl Witness {
    /// The positions of all changes, in their order.
    pub fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.runtime.block_on(self.thread).expect("it could watch")
    }
}

fn id(n: usize) -> Bson {
    match n % 3 {
        0 => Bson::Int32(i32::try_from(n).expect("small")),
        1 => Bson::String(format!("größe \"{n:05}\"")),
        _ => {
            let mut bytes = [7; 12];
            bytes[4..].copy_from_slice(&(n as u64).to_be_bytes());
            Bson::ObjectId(ObjectId::from_bytes(bytes))
        }
    }
}

/// Each type that the server takes.
fn document(id: Bson, n: u64) -> Document {
    let n = i64::try_from(n).expect("small");
    let decimal = format!("{n}.50").parse().expect("a decimal");
    doc! {
        "_id": id,
        "n": n,
        "total": Bson::Decimal128(decimal),
        "small": 7,
        "ratio": n as f64 / 7.0,
        "nothing": Bson::Null,
        "not": f64::NAN,
        "far": f64::NEG_INFINITY,
        "paid": n % 2 == 0,
        "at": DateTime::from_millis(1_772_000_000_000 + n),
        "bytes": Binary { subtype: BinarySubtype::Generic, bytes: n.to_be_bytes().to_vec() },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: [9; 16].to_vec() },
        "owner": ObjectId::from_bytes([3; 12]),
        "pattern": Regex { pattern: cstr!("^a").to_owned(), options: cstr!("i").to_owned() },
        "stamp": Timestamp { time: 7, increment: 8 },
        "address": {"city": "Málaga\n", "lines": ["a", "b"], "geo": {"lat": 36.7}},
        "tags": ["x", n, {"deep": [1, [2]]}, {}],
        "least": Bson::MinKey,
        "most": Bson::MaxKey,
    }
}

async fn change(orders: &Collection<Document>, random: u64, n: u64) {
    let id = id(usize::try_from(random % 700).expect("small"));
    let number = i64::try_from(n).expect("small");
    let one = doc! {"_id": id.clone()};
    let update = match random / 700 % 8 {
        0 => {
            orders.delete_one(one).await.expect("deleted");
            return;
        }
        1 | 2 => {
            let whole = document(id, n);
            orders.replace_one(one, whole).upsert(true).await.expect("replaced");
            return;
        }
        3 => doc! {"$set": {"n": number, "address.city": format!("c{n}")}},
        4 => doc! {"$set": {"n": number}, "$unset": {"paid": "", "address.geo": ""}},
        5 => doc! {"$set": {"n": number}, "$push": {"tags": number}},
        6 => doc! {"$set": {"n": number}, "$pop": {"tags": 1}},
        _ => doc! {"$inc": {"small": 1}, "$set": {"n": number, "new": {"a": [n.to_string()]}}},
    };
    orders.update_one(one, update).await.expect("updated");
}
