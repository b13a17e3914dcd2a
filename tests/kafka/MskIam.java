import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * What MSK asks of a token: that it is a request to connect which was signed (SigV4) by somebody
 * whose secret is known, and that it has not ended. The secret of an access key is the listener's
 * password behind the key, and of a temporary one (ASIA…) so is the session's token.
 */
public final class MskIam implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter STAMP =
        DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final String PASSWORD_FILE = "tahoe.password.file";

    private String password;

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> jaas) {
        try {
            password = Files.readString(Path.of(System.getProperty(PASSWORD_FILE))).trim();
        } catch (IOException error) {
            throw new IllegalStateException(PASSWORD_FILE, error);
        }
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (!(callback instanceof OAuthBearerValidatorCallback asked)) {
                throw new UnsupportedCallbackException(callback);
            }
            try {
                asked.token(validate(asked.tokenValue()));
            } catch (GeneralSecurityException | IllegalArgumentException error) {
                asked.error("Access denied: " + error.getMessage(), null, null);
            }
        }
    }

    private OAuthBearerToken validate(String token) throws GeneralSecurityException {
        var address = URI.create(new String(Base64.getUrlDecoder().decode(token)));
        var signed = new TreeMap<String, String>();
        for (String part : address.getRawQuery().split("&")) {
            String[] pair = part.split("=", 2);
            signed.put(pair[0], pair[1]);
        }
        demand(signed.remove("User-Agent") != null, "no agent");
        String signature = signed.remove("X-Amz-Signature");
        String[] scope = value(signed, "X-Amz-Credential").split("/", 2);
        String[] parts = scope[1].split("/");
        demand(parts.length == 4 && parts[2].equals("kafka-cluster"), "another service's");
        demand(address.getHost().equals("kafka." + parts[1] + ".amazonaws.com"), "another host's");
        demand(value(signed, "Action").equals("kafka-cluster:Connect"), "another action");
        if (scope[0].startsWith("ASIA")) {
            String session = value(signed, "X-Amz-Security-Token");
            demand(session.equals(password + scope[0]), "another session's");
        }
        String expected = sign(address, signed, scope);
        demand(expected.equals(signature), "the signature does not match");
        Instant made = Instant.from(STAMP.parse(value(signed, "X-Amz-Date")));
        Instant ends = made.plusSeconds(Long.parseLong(value(signed, "X-Amz-Expires")));
        demand(Instant.now().isBefore(ends), "the token has expired");
        demand(Instant.now().isAfter(made.minusSeconds(300)), "the token is of the future");
        return new Verified(token, scope[0], made.toEpochMilli(), ends.toEpochMilli());
    }

    private String sign(URI address, TreeMap<String, String> signed, String[] scope)
        throws GeneralSecurityException {
        var query = new StringBuilder();
        signed.forEach((name, value) ->
            query.append(query.isEmpty() ? "" : "&").append(name).append("=").append(value));
        String request = "GET\n" + address.getRawPath() + "\n" + query + "\nhost:"
            + address.getHost() + "\n\nhost\n" + hash("");
        String text = String.join("\n", "AWS4-HMAC-SHA256", value(signed, "X-Amz-Date"), scope[1],
            hash(request));
        byte[] key = ("AWS4" + password + scope[0]).getBytes(StandardCharsets.UTF_8);
        for (String part : Arrays.asList((scope[1] + "/" + text).split("/", 5))) {
            var mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            key = mac.doFinal(part.getBytes(StandardCharsets.UTF_8));
        }
        return HexFormat.of().formatHex(key);
    }

    private static String hash(String text) throws GeneralSecurityException {
        var digest = MessageDigest.getInstance("SHA-256");
        return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static String value(Map<String, String> query, String name)
        throws GeneralSecurityException {
        demand(query.containsKey(name), "no " + name);
        return URLDecoder.decode(query.get(name), StandardCharsets.UTF_8);
    }

    private static void demand(boolean holds, String otherwise) throws GeneralSecurityException {
        if (!holds) {
            throw new GeneralSecurityException(otherwise);
        }
    }

    private record Verified(String value, String key, Long startTimeMs, long lifetimeMs)
        implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }

        @Override
        public String principalName() {
            return "iam";
        }
    }
}
