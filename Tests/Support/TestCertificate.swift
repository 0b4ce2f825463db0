// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A self-signed certificate for localhost and 127.0.0.1, made once in a test process with the openssl tool.
public enum TestCertificate {
  public static var certificateFile: String { files.certificate }
  public static var keyFile: String { files.key }

  /// One that has nothing to do with the other.
  public static let strangerFile = make(subject: "stranger").certificate

  /// The same with an RSA key: certificate and key.
  public static let rsaFiles = make("rsa:2048")

  private static let files = make()

  private static func make(
    _ kind: String = "ec -pkeyopt ec_paramgen_curve:P-256", subject: String = "localhost"
  ) -> (certificate: String, key: String) {
    var template = Array("/tmp/rstream-tests-XXXXXX".utf8CString)
    let directory = String(cString: mkdtemp(&template))
    let (certificate, key) = ("\(directory)/cert.pem", "\(directory)/key.pem")
    let command =
      "openssl req -x509 -newkey \(kind) -nodes -days 2 -subj /CN=\(subject) "
      + "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout \(key) -out \(certificate) 2>/dev/null"
    system(command)
    return (certificate, key)
  }
}
