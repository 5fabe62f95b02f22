// OkHttp: POSTs that are refused early, each followed by a GET.

import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class OkHttp {
    private static final Pattern CODE = Pattern.compile("\"code\":\"([a-z-]+)\"");

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0], key = arguments[2];
        OkHttpClient client = client(arguments[1]);
        ask(client, base + "/brands", key);
        for (String line : Files.readAllLines(Path.of(arguments[3]))) {
            String[] row = line.split(" ");
            RequestBody body = RequestBody.create(MediaType.get("application/json"), new byte[Integer.parseInt(row[2])]);
            Request post = new Request.Builder().url(base + row[0]).header("x-api-key", row[1]).post(body).build();
            String heard;
            try (Response answer = client.newCall(post).execute()) {
                Matcher code = CODE.matcher(answer.body().string());
                heard = String.format(
                    "\"status\":%d,\"code\":\"%s\",\"retry_after\":\"%s\",\"version\":\"%s\"", answer.code(),
                    code.find() ? code.group(1) : "", answer.header("retry-after", ""),
                    answer.protocol() == Protocol.HTTP_2 ? "2" : "1.1");
            } catch (Exception error) {
                heard = "\"error\":\"" + String.valueOf(error).replaceAll("[\"\\\\\\n]", "'") + "\"";
            }
            int next = 0;
            try {
                next = ask(client, base + "/brands", key);
            } catch (Exception error) {
                System.err.println(error);
            }
            System.out.println("{" + heard + ",\"next\":" + next + "}");
        }
        System.exit(0);
    }

    private static int ask(OkHttpClient client, String url, String key) throws Exception {
        Request get = new Request.Builder().url(url).header("x-api-key", key).build();
        try (Response answer = client.newCall(get).execute()) {
            answer.body().string();
            return answer.code();
        }
    }

    private static OkHttpClient client(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (FileInputStream pem = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return new OkHttpClient.Builder()
            .sslSocketFactory(context.getSocketFactory(), (X509TrustManager) trust.getTrustManagers()[0])
            .readTimeout(20, TimeUnit.SECONDS)
            .writeTimeout(20, TimeUnit.SECONDS)
            .build();
    }
}
