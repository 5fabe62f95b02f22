// Java's own HttpClient: POSTs that are refused early, each followed by a GET.

import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class JavaClient {
    private static final Pattern CODE = Pattern.compile("\"code\":\"([a-z-]+)\"");

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0], key = arguments[2];
        HttpClient client =
            HttpClient.newBuilder().sslContext(trusting(arguments[1])).version(HttpClient.Version.HTTP_2).build();
        request(client, base + "/brands", key, null);
        for (String line : Files.readAllLines(Path.of(arguments[3]))) {
            String[] row = line.split(" ");
            byte[] body = new byte[Integer.parseInt(row[2])];
            String heard;
            try {
                HttpResponse<String> answer = request(client, base + row[0], row[1], body);
                Matcher code = CODE.matcher(answer.body());
                heard = String.format(
                    "\"status\":%d,\"code\":\"%s\",\"retry_after\":\"%s\",\"version\":\"%s\"", answer.statusCode(),
                    code.find() ? code.group(1) : "", answer.headers().firstValue("retry-after").orElse(""),
                    answer.version() == HttpClient.Version.HTTP_2 ? "2" : "1.1");
            } catch (Exception error) {
                heard = "\"error\":\"" + String.valueOf(error).replaceAll("[\"\\\\\\n]", "'") + "\"";
            }
            int next = 0;
            try {
                next = request(client, base + "/brands", key, null).statusCode();
            } catch (Exception error) {
                System.err.println(error);
            }
            System.out.println("{" + heard + ",\"next\":" + next + "}");
        }
        System.exit(0);
    }

    private static HttpResponse<String> request(HttpClient client, String url, String key, byte[] body)
        throws Exception {
        HttpRequest.Builder request =
            HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20)).header("x-api-key", key);
        if (body != null) {
            request.header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofByteArray(body));
        }
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (FileInputStream pem = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
