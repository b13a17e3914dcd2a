import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.AbstractCursor;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.Cursor;
import de.bwaldvogel.mongo.backend.aggregation.Aggregation;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.BsonTimestamp;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.Oplog;
import io.netty.channel.Channel;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A MongoDB server in memory whose change streams look as MongoDB's manual describes them: events
 * with a resume token, cluster and wall time, documentKey, updateDescription of whatever changed,
 * fullDocument and fullDocumentBeforeChange as they are asked for; postBatchResumeToken and
 * operationTime in each reply; streams of a collection and of a database; invalidation; a history
 * that a test can cut off for its database (`{forgetHistory: 1}`), or make leave out the next
 * changes (`{tellNothingOf: 3}`); documents as they were at a past time, unless a test forbids it for
 * its database (`{refuseSnapshots: 1}`); the ends of the oplog; names of transactions as
 * `$currentOp` has them (`{openTransaction: 7}`, `{endTransaction: 7}`), in which nothing is done;
 * at a second port TLS, passwords and roles (Login.java). Its own library has streams of
 * collections alone, whose updates say neither which document nor where.
 *
 * What it does not show: a `getMore` that waits, what a transaction does, shards, rollbacks.
 */
public final class StandIn {
    /** What an event is found by, and what it is for each stream. */
    record Entry(long time, String db, String collection, Document event, Document after) {}

    /** Every change since the start, and each document as it was last. */
    static final class History implements Oplog {
        private final List<Entry> entries = new ArrayList<>();
        private final Map<String, Map<Object, Document>> documents = new HashMap<>();
        private final AtomicLong cursors = new AtomicLong(1L << 32);
        private final Server server;
        private long last = 1;
        private final Map<String, Long> keptFrom = new HashMap<>();
        /** So many changes of that database come in no stream. */
        private final Map<String, Integer> untold = new HashMap<>();
        /** What is written now is the stand-in's own. */
        private boolean quiet = false;

        History(Server server) { this.server = server; }

        long now() { return last; }

        private long next() {
            last = Math.max(last + 1, System.currentTimeMillis() / 1000 << 32 | 1);
            return last;
        }

        void forget(String db) { keptFrom.put(db, next()); }

        /** A collection's documents as they were at that time. */
        List<Document> at(long time, String namespace) {
            Map<Object, Document> found = new HashMap<>(documents.getOrDefault(namespace, Map.of()));
            for (int at = entries.size() - 1; at >= 0 && entries.get(at).time() > time; at--) {
                Entry entry = entries.get(at);
                if (!(entry.db() + "." + entry.collection()).equals(namespace)) continue;
                Document key = (Document) entry.event().get("documentKey");
                if (key == null) continue;
                Document before = (Document) entry.event().get("fullDocumentBeforeChange");
                if (before == null) found.remove(key.get("_id"));
                else found.put(key.get("_id"), before);
            }
            return new ArrayList<>(found.values());
        }

        private void add(String namespace, String operation, Document more, Document after) {
            long time = next();
            String[] names = namespace.split("\\.", 2);
            Document event = new Document("_id", token(time, false))
                .append("operationType", operation)
                .append("clusterTime", new BsonTimestamp(time))
                .append("wallTime", Instant.ofEpochMilli(System.currentTimeMillis()));
            Document ns = new Document("db", names[0]);
            if (names.length > 1) ns.append("coll", names[1]);
            event.append("ns", ns).appendAll(more);
            String collection = names.length > 1 ? names[1] : "";
            boolean told = untold.merge(names[0], -1, Integer::sum) < 0;
            if (told) untold.remove(names[0]);
            entries.add(new Entry(time, told ? names[0] : "", collection, event, after));
        }

        private Map<Object, Document> known(String namespace) {
            return documents.computeIfAbsent(namespace, n -> new HashMap<>());
        }

        private static Document key(Object id) {
            return new Document("documentKey", new Document("_id", id));
        }

        @Override public void handleInsert(String namespace, List<Document> inserted) {
            if (quiet) return;
            Map<Object, Document> known = known(namespace);
            for (Document one : inserted) {
                Document document = one.cloneDeeply();
                known.put(document.get("_id"), document);
                Document more = key(document.get("_id")).append("fullDocument", document);
                add(namespace, "insert", more, null);
            }
        }

        @Override public void handleUpdate(String namespace, Document selector, Document query,
                List<Object> ids) {
            boolean whole = query.keySet().stream().noneMatch(name -> name.startsWith("$"));
            Map<Object, Document> known = known(namespace);
            for (Object id : ids) {
                Document after = server.document(namespace, id);
                Document before = known.put(id, after);
                Document more = key(id).append("fullDocumentBeforeChange", before);
                if (whole) {
                    add(namespace, "replace", more.append("fullDocument", after), null);
                } else {
                    more.append("updateDescription", description(before, after));
                    add(namespace, "update", more, after);
                }
            }
        }

        private static Document description(Document before, Document after) {
            Document updated = new Document();
            List<String> removed = new ArrayList<>();
            List<Document> truncated = new ArrayList<>();
            compare("", before, after, updated, removed, truncated);
            return new Document("updatedFields", updated).append("removedFields", removed)
                .append("truncatedArrays", truncated);
        }

        private static void compare(String path, Document before, Document after, Document updated,
                List<String> removed, List<Document> truncated) {
            for (String name : before.keySet()) {
                if (!after.containsKey(name)) removed.add(path + name);
            }
            for (String name : after.keySet()) {
                Object old = before.get(name), value = after.get(name);
                if (!before.containsKey(name)) {
                    updated.append(path + name, value);
                } else if (old instanceof Document a && value instanceof Document b) {
                    compare(path + name + ".", a, b, updated, removed, truncated);
                } else if (old instanceof List<?> a && value instanceof List<?> b
                        && b.size() < a.size() && a.subList(0, b.size()).equals(b)) {
                    truncated.add(new Document("field", path + name).append("newSize", b.size()));
                } else if (!Objects.equals(old, value)) {
                    updated.append(path + name, value);
                }
            }
        }

        @Override public void handleDelete(String namespace, Document query, List<Object> ids) {
            for (Object id : ids) {
                Document before = documents.getOrDefault(namespace, Map.of()).get(id);
                documents.getOrDefault(namespace, new HashMap<>()).remove(id);
                add(namespace, "delete", key(id).append("fullDocumentBeforeChange", before), null);
            }
        }

        @Override public void handleDropCollection(String namespace) {
            if (quiet) return;
            documents.remove(namespace);
            add(namespace, "drop", new Document(), null);
        }

        void renamed(String from, String to) {
            Map<Object, Document> moved = documents.remove(from);
            if (moved != null) documents.put(to, moved);
            String[] names = to.split("\\.", 2);
            Document target = new Document("db", names[0]).append("coll", names[1]);
            add(from, "rename", new Document("to", target), null);
        }

        @Override public Cursor createCursor(Document stage, String namespace,
                Aggregation aggregation) {
            throw new MongoServerError(40324, "the stand-in opens its streams itself");
        }

        static Document token(long time, boolean invalidate) {
            String end = invalidate ? "FF" : "04";
            return new Document("_data", String.format("82%016X%s", time, end));
        }

        Stream open(String db, String collection, Document stage) {
            Document after = (Document) stage.getOrDefault("startAfter", stage.get("resumeAfter"));
            long from = now();
            if (after != null) {
                String data = (String) after.get("_data");
                from = Long.parseLong(data.substring(2, 18), 16);
                if (from < keptFrom.getOrDefault(db, 0L)) {
                    throw new MongoServerError(286, "ChangeStreamHistoryLost",
                        "Resume of change stream was not possible, as the resume point may no "
                            + "longer be in the oplog.");
                }
            }
            return new Stream(cursors.incrementAndGet(), this, db, collection, stage, from);
        }
    }

    /** One open change stream. */
    static final class Stream extends AbstractCursor {
        private static final int BATCH = 1000;
        private final History history;
        private final String db, collection;
        private final String full, before;
        private final Set<?> wanted;
        private int at = 0;
        private Document token;
        private boolean over = false;

        Stream(long id, History history, String db, String collection, Document stage, long from) {
            super(id);
            this.history = history;
            this.db = db;
            this.collection = collection;
            this.full = (String) stage.getOrDefault("fullDocument", "default");
            this.before = (String) stage.getOrDefault("fullDocumentBeforeChange", "off");
            this.wanted = stage.get("wanted") instanceof List<?> names ? Set.copyOf(names) : null;
            this.token = History.token(from, false);
            while (at < history.entries.size() && history.entries.get(at).time() <= from) at++;
        }

        @Override public boolean isEmpty() { return over; }

        private boolean sees(Entry entry) {
            if (!entry.db().equals(db)) return false;
            if (collection != null) return entry.collection().equals(collection);
            return wanted == null || wanted.contains(entry.collection());
        }

        @Override public List<Document> takeDocuments(int count) {
            List<Document> events = new ArrayList<>();
            int most = count > 0 ? count : BATCH;
            while (!over && at < history.entries.size() && events.size() < most) {
                Entry entry = history.entries.get(at++);
                token = History.token(entry.time(), false);
                if (!sees(entry)) continue;
                events.add(shape(entry));
                String operation = (String) entry.event().get("operationType");
                if (collection != null && Set.of("drop", "rename").contains(operation)) {
                    token = History.token(entry.time(), true);
                    events.add(new Document("_id", token).append("operationType", "invalidate")
                        .append("clusterTime", entry.event().get("clusterTime"))
                        .append("wallTime", entry.event().get("wallTime")));
                    over = true;
                }
            }
            if (events.isEmpty()) token = History.token(history.now(), false);
            return events;
        }

        private Document shape(Entry entry) {
            Document event = new Document(entry.event());
            if (before.equals("off")) event.remove("fullDocumentBeforeChange");
            if (event.get("operationType").equals("update")) {
                if (full.equals("updateLookup")) {
                    Object id = ((Document) event.get("documentKey")).get("_id");
                    String namespace = db + "." + entry.collection();
                    event.append("fullDocument", history.server.document(namespace, id));
                } else if (!full.equals("default")) {
                    event.append("fullDocument", entry.after());
                }
            }
            return event;
        }
    }

    /** One command at a time, so that a change and its place in the history are one. */
    static final class Server extends MemoryBackend {
        private final int port;
        private final String set;
        private final History history = new History(this);
        private final Map<Long, Stream> streams = new HashMap<>();
        private final Set<String> withoutSnapshots = new HashSet<>();
        private final Set<Long> transactions = new HashSet<>();
        private final int securePort;
        private final Login login;
        private final long began = System.currentTimeMillis() / 1000 << 32 | 1;
        /** Who gave the command that is answered now. */
        private Channel channel;

        Server(int port, String set, int securePort, Login login) {
            this.port = port;
            this.set = set;
            this.securePort = securePort;
            this.login = login;
            version(new MongoVersion() {
                @Override public List<Integer> getVersionArray() { return List.of(7, 0, 0, 0); }
                @Override public String toVersionString() { return "7.0.0"; }
                @Override public int getWireVersion() { return 21; }
            });
        }

        @Override protected Oplog createOplog() { return history; }

        Document document(String namespace, Object id) {
            String[] names = namespace.split("\\.", 2);
            Document filter = new Document("_id", id);
            Document query = new Document("find", names[1]).append("filter", filter);
            Document reply = super.handleCommand(channel, names[0], "find", query);
            List<?> found = (List<?>) ((Document) reply.get("cursor")).get("firstBatch");
            return found.isEmpty() ? null : ((Document) found.get(0)).cloneDeeply();
        }

        @Override public synchronized Document handleCommand(Channel channel, String db,
                String command, Document query) {
            this.channel = channel;
            Document reply = new Document(answer(channel, db, command, query));
            if (set != null) reply.put("operationTime", new BsonTimestamp(history.now()));
            return reply;
        }

        private boolean isSecure(Channel channel) {
            return login != null
                && ((InetSocketAddress) channel.localAddress()).getPort() == securePort;
        }

        private Document answer(Channel channel, String db, String command, Document query) {
            if (isSecure(channel)) {
                Document reply = login.answer(channel, db, command, query);
                if (reply != null) return reply;
            }
            switch (command) {
                case "hello", "isMaster", "ismaster": return hello(channel, db, query);
                case "find":
                    if (db.equals("local")) return oplog(query);
                    Document concern = (Document) query.getOrDefault("readConcern", new Document());
                    if ("snapshot".equals(concern.get("level"))) return past(channel, db, query);
                    break;
                case "aggregate":
                    if (isOfOperations(query)) return operations();
                    Document stage = stage(query);
                    if (stage != null) return watch(db, query, stage);
                    break;
                case "getMore":
                    Stream stream = streams.get(((Number) query.get("getMore")).longValue());
                    if (stream != null) return batch(stream, "nextBatch", query);
                    break;
                case "killCursors":
                    ((List<?>) query.get("cursors")).forEach(streams::remove);
                    break;
                case "replSetGetConfig":
                    Document settings = new Document("replicaSetId", "0123456789abcdef01234567");
                    Document config = new Document("_id", set).append("settings", settings);
                    return ok(new Document("config", config));
                case "forgetHistory":
                    history.forget(db);
                    return ok(new Document());
                case "tellNothingOf":
                    history.untold.put(db, ((Number) query.get("tellNothingOf")).intValue());
                    return ok(new Document());
                case "openTransaction":
                    transactions.add(((Number) query.get("openTransaction")).longValue());
                    return ok(new Document());
                case "endTransaction":
                    transactions.remove(((Number) query.get("endTransaction")).longValue());
                    return ok(new Document());
                case "refuseSnapshots":
                    withoutSnapshots.add(db);
                    return ok(new Document());
                case "renameCollection":
                    Document reply = super.handleCommand(channel, db, command, query);
                    String from = (String) query.get("renameCollection");
                    history.renamed(from, (String) query.get("to"));
                    return reply;
                default:
            }
            return super.handleCommand(channel, db, command, query);
        }

        /** The documents of a time that is past, from a copy that is made for this answer. */
        private Document past(Channel channel, String db, Document query) {
            if (withoutSnapshots.contains(db)) {
                throw new MongoServerError(239, "SnapshotTooOld",
                    "Read timestamp is older than the oldest available timestamp.");
            }
            Document concern = (Document) query.get("readConcern");
            long time = ((BsonTimestamp) concern.get("atClusterTime")).getValue();
            String name = (String) query.get("find"), copies = "copies_of_" + db;
            history.quiet = true;
            try {
                List<Document> documents = history.at(time, db + "." + name);
                if (!documents.isEmpty()) {
                    Document insert = new Document("insert", name).append("documents", documents)
                        .append("$db", copies);
                    super.handleCommand(channel, copies, "insert", insert);
                }
                Document find = new Document(query);
                find.remove("readConcern");
                find.append("batchSize", 1_000_000).append("$db", copies);
                Document reply = super.handleCommand(channel, copies, "find", find);
                super.handleCommand(channel, copies, "drop",
                    new Document("drop", name).append("$db", copies));
                ((Document) reply.get("cursor")).append("ns", db + "." + name);
                return reply;
            } catch (MongoServerError error) {
                if (error.getCode() != 26) throw error;
                return ok(new Document("cursor", new Document("firstBatch", List.of())
                    .append("id", 0L).append("ns", db + "." + name)));
            } finally {
                history.quiet = false;
            }
        }

        private static boolean isOfOperations(Document query) {
            List<?> pipeline = (List<?>) query.get("pipeline");
            return !pipeline.isEmpty() && ((Document) pipeline.get(0)).containsKey("$currentOp");
        }

        /** The open transactions, as idle sessions. */
        private Document operations() {
            List<Document> found = new ArrayList<>();
            for (Long number : transactions) {
                Document parameters =
                    new Document("txnNumber", number).append("autocommit", false);
                found.add(new Document("type", "idleSession")
                    .append("lsid", new Document("id", new UUID(number, number)))
                    .append("transaction", new Document("parameters", parameters)));
            }
            return ok(new Document("cursor", new Document("firstBatch", found).append("id", 0L)
                .append("ns", "admin.$cmd.aggregate")));
        }

        /** The first or the last entry of the oplog, by its time alone. */
        private Document oplog(Document query) {
            Document sort = (Document) query.getOrDefault("sort", new Document());
            boolean first = Objects.equals(sort.get("$natural"), 1);
            Document entry = new Document("ts", new BsonTimestamp(first ? began : history.now()));
            return ok(new Document("cursor", new Document("firstBatch", List.of(entry))
                .append("id", 0L).append("ns", "local.oplog.rs")));
        }

        private Document hello(Channel channel, String db, Document query) {
            Document reply = new Document();
            reply.putAll(super.handleCommand(channel, db, "isMaster", new Document()));
            reply.append("isWritablePrimary", true).append("helloOk", true);
            if (isSecure(channel)) login.hello(query, reply);
            if (set != null) {
                String me = isSecure(channel) ? "localhost:" + securePort : "127.0.0.1:" + port;
                reply.append("setName", set).append("me", me).append("primary", me)
                    .append("hosts", List.of(me)).append("setVersion", 1);
            }
            return reply;
        }

        private static Document stage(Document query) {
            List<?> pipeline = (List<?>) query.get("pipeline");
            if (pipeline.isEmpty()) return null;
            Document stage = (Document) ((Document) pipeline.get(0)).get("$changeStream");
            if (stage == null || pipeline.size() < 2) return stage;
            // The one further stage that a stream of several collections has.
            Document match = (Document) ((Document) pipeline.get(1)).get("$match");
            Document first = (Document) ((List<?>) match.get("$or")).get(0);
            Document names = (Document) first.get("ns.coll");
            return new Document(stage).append("wanted", names.get("$in"));
        }

        private Document watch(String db, Document query, Document stage) {
            if (set == null) {
                throw new MongoServerError(40573,
                    "The $changeStream stage is only supported on replica sets");
            }
            String collection = query.get("aggregate") instanceof String name ? name : null;
            Stream stream = history.open(db, collection, stage);
            streams.put(stream.getId(), stream);
            return batch(stream, "firstBatch", query);
        }

        private Document batch(Stream stream, String name, Document query) {
            Number size = (Number) query.getOrDefault("batchSize", 0);
            boolean first = name.equals("firstBatch");
            List<Document> events = first ? List.of() : stream.takeDocuments(size.intValue());
            if (stream.isEmpty()) streams.remove(stream.getId());
            String target = stream.collection == null ? "$cmd.aggregate" : stream.collection;
            return ok(new Document("cursor", new Document(name, events)
                .append("postBatchResumeToken", stream.token)
                .append("id", stream.isEmpty() ? 0L : stream.getId())
                .append("ns", stream.db + "." + target)));
        }

        private static Document ok(Document reply) { return reply.append("ok", 1.0); }
    }

    /**
     * Arguments: port, and the replica set's name unless it is to be a single server; then a port
     * for TLS, and the folder with its certificates and password.
     */
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        String set = arguments.length > 1 ? arguments[1] : null;
        boolean secure = arguments.length > 3;
        int securePort = secure ? Integer.parseInt(arguments[2]) : 0;
        Login login = secure ? new Login(Path.of(arguments[3])) : null;
        Server backend = new Server(port, set, securePort, login);
        MongoServer server = new MongoServer(backend);
        server.enableOplog();
        server.bind("127.0.0.1", port);
        if (secure) {
            // The library's own way to TLS takes no certificates of clients.
            Field tls = MongoServer.class.getDeclaredField("sslContext");
            tls.setAccessible(true);
            // The second address is one that the certificate does not name.
            for (String address : List.of("127.0.0.1", "127.0.0.2")) {
                MongoServer other = new MongoServer(backend);
                tls.set(other, login.tls());
                other.bind(address, securePort);
            }
        }
        System.out.println("ready on 127.0.0.1:" + port);
        Thread.currentThread().join();
    }
}
