// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import RstreamNet

/// The certificate authority of development mode. It lives in a state directory, is made at the first start and kept, so
/// that clients that trust it once go on trusting the engine.
struct DevelopmentCA {
  /// For clients: transport.tls.caFile.
  let caFile: String
  let certificateFile: String
  let keyFile: String

  private static let day: Int64 = 86_400
  private static let authorityLifetime = 3653 * day
  /// Some clients refuse server certificates that hold much longer.
  private static let serverLifetime = 365 * day
  private static let renewalTime = 30 * day
  /// Clocks of containers and virtual machines may lag behind.
  private static let clockSkew = 300 as Int64

  private static let caName = "ca.pem"
  private static let caKeyName = "ca-key.pem"
  private static let serverName = "server.pem"
  private static let serverKeyName = "server-key.pem"

  /// Makes what is missing, about to expire, or made for other names.
  /// - Parameters:
  ///   - more: names of the engine besides those of the namespace
  ///   - now: in seconds since 1970
  static func prepare(
    stateDirectory: String, _ namespace: HostNamespace, _ more: [String] = [], now: Int64
  ) throws(Failure) -> DevelopmentCA {
    let directory = try StateDirectory(stateDirectory)
    let authority = try authority(directory, now: now)
    try ensureServerCertificate(directory, authority, names(namespace, more), now: now)
    return DevelopmentCA(
      caFile: directory.path(of: caName), certificateFile: directory.path(of: serverName),
      keyFile: directory.path(of: serverKeyName))
  }

  /// The engine and its tunnels under their names, and this machine.
  static func names(_ namespace: HostNamespace, _ more: [String] = []) -> [String] {
    var names = namespace.certificateNames
    for local in more + ["localhost", "127.0.0.1", "::1"] where !names.contains(local) { names.append(local) }
    return names
  }

  // MARK: - The authority

  private static func authority(
    _ directory: borrowing StateDirectory, now: Int64
  ) throws(Failure) -> (certificate: Certificate, key: PrivateKey) {
    guard let certificatePEM = try directory.read(caName), let keyPEM = try directory.read(caKeyName) else {
      return try makeAuthority(directory, now: now)
    }
    guard let certificate = Certificate(pem: certificatePEM), let key = PrivateKey(pem: keyPEM),
      certificate.belongs(to: key)
    else {
      // Not to be replaced unasked: somebody may trust it, or have put it there.
      throw Failure(
        ErrorCode.tls,
        "read the development CA: \(caName) and \(caKeyName) in \(directory.path) are damaged or do not belong together; "
          + "remove both to have a new one made, which clients have to trust anew")
    }
    // A server certificate must not outlive its authority.
    guard certificate.isValid(from: now, to: now + serverLifetime) else {
      return try makeAuthority(directory, now: now)
    }
    return (certificate, key)
  }

  private static func makeAuthority(
    _ directory: borrowing StateDirectory, now: Int64
  ) throws(Failure) -> (certificate: Certificate, key: PrivateKey) {
    let key = try PrivateKey.generate()
    // Authorities of several machines may be trusted side by side: their names differ.
    let name = "librstream development CA \(RandomHex.text(bytes: 4))"
    let request = CertificateRequest.authority(name, from: now - clockSkew, to: now + authorityLifetime)
    let certificate = try request.sign(key, issuer: nil)
    try directory.write(caKeyName, try key.pem())
    try directory.write(caName, try certificate.pem())
    return (certificate, key)
  }

  // MARK: - The server's certificate

  private static func ensureServerCertificate(
    _ directory: borrowing StateDirectory, _ authority: (certificate: Certificate, key: PrivateKey), _ names: [String],
    now: Int64
  ) throws(Failure) {
    let request = CertificateRequest.server(names, from: now - clockSkew, to: now + serverLifetime)
    if let certificate = Certificate(pem: try directory.read(serverName) ?? []),
      let key = PrivateKey(pem: try directory.read(serverKeyName) ?? []), certificate.belongs(to: key),
      certificate.isSigned(by: authority.certificate), certificate.isValid(from: now, to: now + renewalTime),
      let names = certificate.extensionValue(NID_subject_alt_name),
      names == request.extensionValue(NID_subject_alt_name)
    {
      return
    }
    let key = try PrivateKey.generate()
    let certificate = try request.sign(key, issuer: authority)
    try directory.write(serverKeyName, try key.pem())
    try directory.write(serverName, try certificate.pem())
  }
}
