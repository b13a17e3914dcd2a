import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import io.netty.channel.Channel;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.AttributeKey;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * What a server with TLS and access control asks of a connection: SCRAM-SHA-1 and SCRAM-SHA-256 as
 * RFC 5802 and MongoDB's manual have them, or a certificate (MONGODB-X509), and then a role.
 */
final class Login {
    /** May do everything; may read, but not `local` and the set's configuration; may do nothing. */
    private static final List<String> USERS = List.of("tahoe", "reader", "nobody");
    private static final Set<String> WITHOUT_LOGIN =
        Set.of("hello", "isMaster", "ismaster", "saslStart", "saslContinue", "authenticate",
            "buildInfo", "buildinfo", "ping", "endSessions");
    private static final AttributeKey<String> USER = AttributeKey.valueOf("user");
    private static final AttributeKey<Exchange> EXCHANGE = AttributeKey.valueOf("exchange");
    private static final byte[] SALT = "sixteen bytes of".getBytes(StandardCharsets.US_ASCII);
    private static final int ITERATIONS = 4096;

    private final String password;
    private final Path folder;

    /** With `password`, `http.crt`, `http.key` and `ca.crt` in that folder. */
    Login(Path folder) throws Exception {
        this.folder = folder;
        this.password = Files.readString(folder.resolve("password")).trim();
    }

    /** What the server shows, and that it looks at a client's certificate. */
    SslContext tls() throws Exception {
        return SslContextBuilder
            .forServer(folder.resolve("http.crt").toFile(), folder.resolve("http.key").toFile())
            .trustManager(folder.resolve("ca.crt").toFile())
            .clientAuth(ClientAuth.OPTIONAL).build();
    }

    /** One password being checked. */
    private record Exchange(String mechanism, String user, String first, String nonce) {}

    /** The reply to a command of the login; `null` if this is another one, which may be run. */
    Document answer(Channel channel, String db, String command, Document query) {
        switch (command) {
            case "saslStart": return start(channel, query);
            case "saslContinue": return go(channel, query);
            case "authenticate": return certificate(channel);
            default:
        }
        String user = channel.attr(USER).get();
        if (WITHOUT_LOGIN.contains(command)) return null;
        if (user == null) {
            throw new MongoServerError(13, "Unauthorized",
                "Command " + command + " requires authentication");
        }
        boolean refused = switch (user) {
            // It may read every database, and not see what others do.
            case "tahoe" -> db.equals("admin") && command.equals("aggregate");
            case "reader" -> db.equals("local") || command.startsWith("replSet");
            default -> true;
        };
        if (refused) {
            throw new MongoServerError(13, "Unauthorized",
                "not authorized on " + db + " to execute command { " + command + ": 1 }");
        }
        return null;
    }

    /** Which mechanisms the user of a hello may choose from. */
    void hello(Document query, Document reply) {
        if (query.get("saslSupportedMechs") != null) {
            reply.append("saslSupportedMechs", List.of("SCRAM-SHA-1", "SCRAM-SHA-256"));
        }
    }

    private static MongoServerError refused() {
        return new MongoServerError(18, "AuthenticationFailed", "Authentication failed.");
    }

    private static String payload(Document query) {
        Object payload = query.get("payload");
        byte[] bytes = payload instanceof BinData data ? data.getData() : (byte[]) payload;
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static Document reply(String payload, boolean done) {
        return new Document("conversationId", 1).append("done", done)
            .append("payload", new BinData(payload.getBytes(StandardCharsets.UTF_8)))
            .append("ok", 1.0);
    }

    private static String value(String message, String name) {
        for (String part : message.split(",")) {
            if (part.startsWith(name + "=")) return part.substring(2);
        }
        throw refused();
    }

    private Document start(Channel channel, Document query) {
        String first = payload(query).substring("n,,".length());
        String nonce = value(first, "r") + "stand-in";
        String mechanism = (String) query.get("mechanism");
        channel.attr(EXCHANGE).set(new Exchange(mechanism, value(first, "n"), first, nonce));
        return reply(server(nonce), false);
    }

    private static String server(String nonce) {
        return "r=" + nonce + ",s=" + Base64.getEncoder().encodeToString(SALT) + ",i=" + ITERATIONS;
    }

    private Document go(Channel channel, Document query) {
        String last = payload(query);
        Exchange exchange = channel.attr(EXCHANGE).get();
        if (last.isEmpty()) return reply("", true);
        try {
            String hash = exchange.mechanism().substring("SCRAM-".length());
            String hmac = "Hmac" + hash.replace("-", "");
            byte[] salted = salted(hash, exchange.user());
            String without = last.substring(0, last.lastIndexOf(",p="));
            byte[] message = (exchange.first() + "," + server(exchange.nonce()) + "," + without)
                .getBytes(StandardCharsets.UTF_8);
            byte[] key = mac(hmac, salted, "Client Key".getBytes(StandardCharsets.US_ASCII));
            byte[] stored = MessageDigest.getInstance(hash).digest(key);
            byte[] proof = mac(hmac, stored, message);
            for (int at = 0; at < proof.length; at++) proof[at] ^= key[at];
            byte[] given = Base64.getDecoder().decode(value(last, "p"));
            boolean known = USERS.contains(exchange.user());
            if (!known || !MessageDigest.isEqual(proof, given)) throw refused();
            channel.attr(USER).set(exchange.user());
            byte[] own = mac(hmac, salted, "Server Key".getBytes(StandardCharsets.US_ASCII));
            return reply("v=" + Base64.getEncoder().encodeToString(mac(hmac, own, message)), true);
        } catch (java.security.GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private byte[] salted(String hash, String user) throws java.security.GeneralSecurityException {
        String secret = password;
        if (hash.equals("SHA-1")) {
            byte[] whole = (user + ":mongo:" + password).getBytes(StandardCharsets.UTF_8);
            secret = HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(whole));
        }
        String name = "PBKDF2WithHmac" + hash.replace("-", "");
        int bits = hash.equals("SHA-1") ? 160 : 256;
        PBEKeySpec spec = new PBEKeySpec(secret.toCharArray(), SALT, ITERATIONS, bits);
        return SecretKeyFactory.getInstance(name).generateSecret(spec).getEncoded();
    }

    private static byte[] mac(String name, byte[] key, byte[] message)
            throws java.security.GeneralSecurityException {
        Mac mac = Mac.getInstance(name);
        mac.init(new SecretKeySpec(key, name));
        return mac.doFinal(message);
    }

    private Document certificate(Channel channel) {
        try {
            var session = channel.pipeline().get(SslHandler.class).engine().getSession();
            String name = session.getPeerPrincipal().getName();
            if (!USERS.contains(name.replace("CN=", ""))) throw refused();
            channel.attr(USER).set(name.replace("CN=", ""));
            return new Document("dbname", "$external").append("user", name).append("ok", 1.0);
        } catch (javax.net.ssl.SSLPeerUnverifiedException error) {
            throw refused();
        }
    }
}
