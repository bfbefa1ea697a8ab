package example.rotator;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Principal;
import java.security.interfaces.RSAPublicKey;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.catalina.connector.Connector;
import org.apache.tomcat.util.net.SSLHostConfig;
import org.apache.tomcat.util.net.SSLHostConfigCertificate;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.embedded.tomcat.TomcatServletWebServerFactory;
import org.springframework.boot.web.embedded.tomcat.TomcatWebServer;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Lazy;
import org.springframework.context.event.EventListener;
import org.springframework.http.ResponseEntity;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2RefreshToken;
import org.springframework.security.oauth2.jose.jws.MacAlgorithm;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.InMemoryOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2Authorization;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.config.annotation.web.configurers.OAuth2AuthorizationServerConfigurer;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.OAuth2TokenFormat;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;

/**
 * A Spring Authorization Server. Its issuer and its clients come as JSON on stdin; one line of JSON on stdout has its
 * address. A POST to /browser/CLIENT brings a refresh token, as a consent in a browser would.
 */
@RestController
@SpringBootApplication
public class Site {
  static final Duration LIFE = Duration.ofSeconds(600);
  static JsonNode given;
  @Autowired @Lazy RegisteredClientRepository known;
  @Autowired @Lazy OAuth2AuthorizationService authorizations;

  public static void main(String[] arguments) throws Exception {
    given = new ObjectMapper().readTree(System.in);
    SpringApplication.run(Site.class, arguments);
  }

  @EventListener
  void ready(ServletWebServerInitializedEvent event) throws Exception {
    Map<String, String> told = new TreeMap<>();
    for (Connector each : ((TomcatWebServer) event.getWebServer()).getTomcat().getService().findConnectors()) {
      told.put(each.getSecure() ? "secure" : "url", each.getScheme() + "://127.0.0.1:" + each.getLocalPort());
    }
    System.out.println(new ObjectMapper().writeValueAsString(told));
    System.out.flush();
  }

  @Bean
  SecurityFilterChain server(HttpSecurity http) throws Exception {
    OAuth2AuthorizationServerConfigurer configurer = OAuth2AuthorizationServerConfigurer.authorizationServer();
    http.securityMatcher(configurer.getEndpointsMatcher())
        .with(configurer, Customizer.withDefaults())
        .authorizeHttpRequests(each -> each.anyRequest().authenticated());
    return http.build();
  }

  @Bean
  SecurityFilterChain browser(HttpSecurity http) throws Exception {
    return http.securityMatcher("/browser/**", "/me")
        .authorizeHttpRequests(each -> each.anyRequest().permitAll())
        .csrf(each -> each.disable())
        .build();
  }

  /** For clients that show a certificate: another port. */
  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> secure() {
    Connector connector = new Connector("org.apache.coyote.http11.Http11NioProtocol");
    connector.setScheme("https");
    connector.setSecure(true);
    connector.setPort(0);
    connector.setProperty("address", "127.0.0.1");
    connector.setProperty("SSLEnabled", "true");
    SSLHostConfig host = new SSLHostConfig();
    host.setCertificateVerification("optional");
    host.setTrustManagerClassName(Trust.class.getName());
    SSLHostConfigCertificate own = new SSLHostConfigCertificate(host, SSLHostConfigCertificate.Type.UNDEFINED);
    own.setCertificateFile(given.get("certificate").asText());
    own.setCertificateKeyFile(given.get("certificate").asText());
    host.addCertificate(own);
    connector.addSslHostConfig(host);
    return factory -> factory.addAdditionalTomcatConnectors(connector);
  }

  @Bean
  AuthorizationServerSettings settings() {
    return AuthorizationServerSettings.builder().issuer(given.get("issuer").asText()).build();
  }

  @Bean
  JWKSource<SecurityContext> keys() throws Exception {
    KeyPair pair = KeyPairGenerator.getInstance("RSA").generateKeyPair();
    RSAKey key = new RSAKey.Builder((RSAPublicKey) pair.getPublic()).privateKey(pair.getPrivate()).keyID("1").build();
    return new ImmutableJWKSet<>(new JWKSet(key));
  }

  @Bean
  RegisteredClientRepository clients() {
    List<RegisteredClient> made = new ArrayList<>();
    given.get("clients").forEach(each -> made.add(client(each.get("name").asText(), each)));
    return new InMemoryRegisteredClientRepository(made);
  }

  private static RegisteredClient client(String name, JsonNode told) {
    RegisteredClient.Builder client = RegisteredClient.withId(name).clientId(name).scope("read");
    client.authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS);
    client.clientAuthenticationMethod(new ClientAuthenticationMethod(told.get("method").asText()));
    String secret = told.get("secret").asText();
    if (!secret.isEmpty()) {
      client.clientSecret((told.get("method").asText().endsWith("jwt") ? "" : "{noop}") + secret); // it signs as it is
    }
    String algorithm = told.get("algorithm").asText();
    if (!algorithm.isEmpty()) {
      ClientSettings.Builder keys = ClientSettings.builder();
      if (told.get("jwks").asText().isEmpty()) {
        keys.tokenEndpointAuthenticationSigningAlgorithm(MacAlgorithm.from(algorithm));
      } else {
        keys.jwkSetUrl(told.get("jwks").asText());
        keys.tokenEndpointAuthenticationSigningAlgorithm(SignatureAlgorithm.from(algorithm));
      }
      client.clientSettings(keys.build());
    }
    if (!told.get("certificate").asText().isEmpty()) {
      ClientSettings.Builder shown = ClientSettings.builder();
      if (told.get("jwks").asText().isEmpty()) {
        shown.x509CertificateSubjectDN("CN=" + name);
      } else {
        shown.jwkSetUrl(told.get("jwks").asText());
      }
      client.clientSettings(shown.build());
    }
    if (told.get("grant").asText().equals("refresh_token")) {
      client.authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE);
      client.authorizationGrantType(AuthorizationGrantType.REFRESH_TOKEN);
      client.redirectUri("https://shop.example/back");
    }
    TokenSettings.Builder tokens = TokenSettings.builder().accessTokenTimeToLive(LIFE);
    return client
        .tokenSettings(tokens.accessTokenFormat(OAuth2TokenFormat.REFERENCE).reuseRefreshTokens(false).build())
        .build();
  }

  @Bean
  OAuth2AuthorizationService authorizations() {
    return new InMemoryOAuth2AuthorizationService();
  }

  /** Who an access token is of. */
  @GetMapping("/me")
  ResponseEntity<Map<String, String>> me(@RequestHeader(name = "Authorization", defaultValue = "") String shown) {
    String value = shown.startsWith("Bearer ") ? shown.substring(7) : "";
    OAuth2Authorization found =
        value.isEmpty() ? null : authorizations.findByToken(value, OAuth2TokenType.ACCESS_TOKEN);
    if (found == null || !found.getAccessToken().isActive()) {
      return ResponseEntity.status(401).build();
    }
    return ResponseEntity.ok(Map.of("name", found.getPrincipalName()));
  }

  @PostMapping("/browser/{name}")
  Map<String, String> consent(@PathVariable("name") String name) {
    Instant now = Instant.now();
    String refresh = UUID.randomUUID() + "-" + UUID.randomUUID();
    Principal ada = new UsernamePasswordAuthenticationToken("ada", null, AuthorityUtils.createAuthorityList("ROLE_USER"));
    authorizations.save(
        OAuth2Authorization.withRegisteredClient(known.findByClientId(name))
            .principalName("ada")
            .authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE)
            .authorizedScopes(Set.of("read"))
            .attribute(Principal.class.getName(), ada)
            .accessToken(
                new OAuth2AccessToken(
                    OAuth2AccessToken.TokenType.BEARER, UUID.randomUUID().toString(), now, now.plus(LIFE), Set.of("read")))
            .refreshToken(new OAuth2RefreshToken(refresh, now, now.plus(Duration.ofDays(1))))
            .build());
    return Map.of("refresh_token", refresh);
  }
}
