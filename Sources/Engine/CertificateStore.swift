// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet

/// The engine's certificate and the TLS settings that use it. The files are looked at before a handshake and read anew when
/// they have changed; new files that cannot be used leave the old certificate in place.
final class CertificateStore {
  /// Seconds after which files that could not be used are tried again: they may be half written, descriptors may be short.
  private static let retryInterval: Int64 = 5

  private let certificateFile: String
  let keyFile: String
  private let clients: ClientCertificates
  private var stamp: [FileStamp]
  private var contexts: EdgeContexts
  private var retryTime: Int64?
  /// Grows when the certificate changes.
  private(set) var generation = 0

  init(certificateFile: String, keyFile: String, _ clients: ClientCertificates = ClientCertificates()) throws(Failure) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.clients = clients
    stamp = Self.stamp(certificateFile, keyFile, clients)
    contexts = try EdgeContexts(certificateFile, keyFile, clients)
  }

  private static func stamp(
    _ certificateFile: String, _ keyFile: String, _ clients: ClientCertificates
  ) -> [FileStamp] {
    [certificateFile, keyFile, clients.caFile].compactMap(\.self).map(FileStamp.init)
  }

  /// The TLS settings for a connection that begins now.
  func current() -> EdgeContexts {
    let newest = Self.stamp(certificateFile, keyFile, clients)
    guard newest != stamp || retryTime.map({ $0 <= Clock.seconds }) == true else { return contexts }
    do throws(Failure) {
      contexts = try EdgeContexts(certificateFile, keyFile, clients)
      retryTime = nil
      generation += 1
      Log.info("engine", "took over the new certificate in \(certificateFile)")
    } catch {
      if newest != stamp { Log.error("engine", "\(error.message); the previous certificate stays in use") }
      retryTime = Clock.seconds + Self.retryInterval
    }
    stamp = newest
    return contexts
  }
}

/// Which certificates of clients are accepted, and where they are asked for.
struct ClientCertificates {
  /// Their authorities, PEM.
  var caFile: String?
  /// Whether the API at the engine's own host asks for them.
  var isRequestedByAPI = false
}

/// TLS settings of one certificate.
final class EdgeContexts {
  /// The engine's host, for agents and dialers.
  let wire: TLSContext
  /// The engine's host, for its HTTP API.
  let api: TLSContext
  /// The host of the API that asks for client certificates.
  let mtlsAPI: TLSContext
  /// Hosts of http tunnels.
  let http: TLSContext
  /// Whether the API at the engine's host asks for client certificates as well.
  let requestsCertificateForAPI: Bool
  private let base: TLSContext.ServerSettings
  private var quicCredentials: QUICCredentials?
  private let clientCAFile: String?

  init(_ certificateFile: String, _ keyFile: String, _ clients: ClientCertificates) throws(Failure) {
    var base = TLSContext.ServerSettings()
    base.certificateFile = certificateFile
    base.keyFile = keyFile
    self.base = base
    clientCAFile = clients.caFile

    var wire = base
    wire.alpn = .require([EdgeRoute.wireProtocol])
    wire.allowsTLS12 = false
    wire.requestsClientCertificate = true
    wire.clientCAFile = clients.caFile
    self.wire = try TLSContext(server: wire)

    var http = base
    http.alpn = .require(["http/1.1"])
    self.http = try TLSContext(server: http)
    var mtlsAPI = http
    mtlsAPI.requestsClientCertificate = true
    mtlsAPI.clientCAFile = clients.caFile
    self.mtlsAPI = try TLSContext(server: mtlsAPI)
    requestsCertificateForAPI = clients.isRequestedByAPI
    api = requestsCertificateForAPI ? self.mtlsAPI : self.http
  }

  /// The same certificate for QUIC connections.
  func quic() throws(Failure) -> QUICCredentials {
    if let quicCredentials { return quicCredentials }
    let credentials = try QUICCredentials(
      certificateFile: base.certificateFile, keyFile: base.keyFile, clientCAFile: clientCAFile)
    quicCredentials = credentials
    return credentials
  }

  /// The same certificate under other settings.
  func context(_ adjust: (inout TLSContext.ServerSettings) -> Void) throws(Failure) -> TLSContext {
    var settings = base
    adjust(&settings)
    return try TLSContext(server: settings)
  }
}

/// What tells one state of a file from the next.
private struct FileStamp: Equatable {
  private var device: UInt64 = 0
  private var inode: UInt64 = 0
  private var size: Int64 = -1
  private var seconds = 0
  private var nanoseconds = 0

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
