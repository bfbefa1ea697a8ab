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
import java.util.UUID;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Lazy;
import org.springframework.context.event.EventListener;
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
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.config.annotation.web.configurers.OAuth2AuthorizationServerConfigurer;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.OAuth2TokenFormat;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
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
    String url = "http://127.0.0.1:" + event.getWebServer().getPort();
    System.out.println(new ObjectMapper().writeValueAsString(Map.of("url", url)));
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
    return http.securityMatcher("/browser/**")
        .authorizeHttpRequests(each -> each.anyRequest().permitAll())
        .csrf(each -> each.disable())
        .build();
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
