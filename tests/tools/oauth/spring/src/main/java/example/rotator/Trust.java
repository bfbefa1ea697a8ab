package example.rotator;

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import javax.net.ssl.X509TrustManager;

/** Takes certificates of the one authority, and those that sign themselves: whose they are is seen later. */
public class Trust implements X509TrustManager {
  @Override
  public void checkClientTrusted(X509Certificate[] chain, String kind) throws CertificateException {
    boolean own = chain[0].getIssuerX500Principal().equals(chain[0].getSubjectX500Principal());
    try {
      chain[0].checkValidity();
      chain[0].verify(own ? chain[0].getPublicKey() : authority().getPublicKey());
    } catch (CertificateException fault) {
      throw fault;
    } catch (Exception fault) {
      throw new CertificateException(fault);
    }
  }

  private static X509Certificate authority() throws Exception {
    try (InputStream in = new FileInputStream(Site.given.get("authority").asText())) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String kind) throws CertificateException {
    throw new CertificateException("this is a server");
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return new X509Certificate[0];
  }
}
