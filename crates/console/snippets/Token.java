import java.net.URI;
{{#scope}}import java.net.URLEncoder;
{{/scope}}import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Base64;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Token {
  public static void main(String[] args) throws Exception {
    var credentials = {{#environment}}"{{client_id}}:" + System.getenv("BASTIONARY_CLIENT_SECRET"){{/environment}}{{#shown}}"{{client_id}}:{{secret}}"{{/shown}};
    var form = "grant_type=client_credentials"{{#scope}} + "&scope=" + URLEncoder.encode("{{scope}}", UTF_8){{/scope}};
    var request = HttpRequest.newBuilder(URI.create("{{issuer}}/oauth2/token"))
        .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes(UTF_8)))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .POST(HttpRequest.BodyPublishers.ofString(form))
        .build();
    var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) throw new Exception(answer.body());
    System.out.println(answer.body());
  }
}
