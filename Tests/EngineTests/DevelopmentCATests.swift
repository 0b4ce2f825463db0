// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc
import RstreamNet
import Testing

@testable import RstreamEngine

/// A directory of its own for one test.
private final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/rstream-ca-XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { TemporaryDirectory.removeTree(path) }

  var names: [String] { TemporaryDirectory.entries(path).sorted() }

  private static func entries(_ path: String) -> [String] {
    guard let handle = opendir(path) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  private static func removeTree(_ path: String) {
    for name in entries(path) { removeTree("\(path)/\(name)") }
    remove(path)
  }
}

@Suite struct DevelopmentCATests {
  private static let day: Int64 = 86_400
  private let now = Int64(time(nil))
  private let home = TemporaryDirectory()
  private let namespace = HostNamespace(engineHost: "project.localhost")

  private var state: String { home.path + "/a/b" }

  private func prepare(_ namespace: HostNamespace? = nil, now: Int64? = nil) throws -> DevelopmentCA {
    try DevelopmentCA.prepare(stateDirectory: state, namespace ?? self.namespace, now: now ?? self.now)
  }

  private func content(_ path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "re"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    return Array(bytes[..<fread(&bytes, 1, bytes.count, file)])
  }

  private func certificate(_ path: String) throws -> Certificate {
    try #require(Certificate(pem: try content(path)))
  }

  /// What a strict client would say: the chain, the purpose, and a name or address.
  private func verify(_ ca: DevelopmentCA, host: String? = nil, address: String? = nil, at moment: Int64? = nil) throws
    -> Int32
  {
    let (root, leaf) = (try certificate(ca.caFile), try certificate(ca.certificateFile))
    let store = try #require(X509_STORE_new())
    defer { X509_STORE_free(store) }
    X509_STORE_add_cert(store, root.pointer)
    let context = try #require(X509_STORE_CTX_new())
    defer { X509_STORE_CTX_free(context) }
    X509_STORE_CTX_init(context, store, leaf.pointer, nil)
    let parameters = X509_STORE_CTX_get0_param(context)
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER)
    X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_X509_STRICT))
    X509_VERIFY_PARAM_set_time(parameters, time_t(moment ?? now))
    if let host { X509_VERIFY_PARAM_set1_host(parameters, host, host.utf8.count) }
    if let address { X509_VERIFY_PARAM_set1_ip_asc(parameters, address) }
    return X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context)
  }

  private func mode(_ path: String) throws -> UInt32 {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o7777
  }

  @Test func clientsThatTrustTheAuthorityTrustTheEngine() throws {
    let ca = try prepare()
    for host in ["project.localhost", "x.t.project.localhost", "r1-project.t.localhost", "localhost"] {
      #expect(try verify(ca, host: host) == X509_V_OK, "\(host)")
    }
    for address in ["127.0.0.1", "::1"] { #expect(try verify(ca, address: address) == X509_V_OK) }
    for host in ["other.localhost", "a.b.t.localhost", "t.localhost", "example.com"] {
      #expect(try verify(ca, host: host) == X509_V_ERR_HOSTNAME_MISMATCH, "\(host)")
    }
    #expect(try verify(ca, address: "127.0.0.2") == X509_V_ERR_IP_ADDRESS_MISMATCH)
    #expect(try verify(ca, at: now + 366 * Self.day) == X509_V_ERR_CERT_HAS_EXPIRED)
    #expect(try verify(ca, at: now - 3600) == X509_V_ERR_CERT_NOT_YET_VALID)
    var settings = TLSContext.ServerSettings()
    settings.certificateFile = ca.certificateFile
    settings.keyFile = ca.keyFile
    _ = try TLSContext(server: settings)
  }

  @Test func certificatesSayWhatTheyAreFor() throws {
    let ca = try prepare()
    let (root, leaf) = (try certificate(ca.caFile), try certificate(ca.certificateFile))
    #expect(X509_check_ca(root.pointer) == 1)
    #expect(X509_get_pathlen(root.pointer) == 0)
    #expect(X509_get_key_usage(root.pointer) == UInt32(KU_KEY_CERT_SIGN | KU_CRL_SIGN))
    #expect(X509_check_ca(leaf.pointer) == 0)
    #expect(X509_get_key_usage(leaf.pointer) == UInt32(KU_DIGITAL_SIGNATURE))
    #expect(X509_get_extended_key_usage(leaf.pointer) == UInt32(XKU_SSL_SERVER))
    #expect(X509_get0_authority_key_id(leaf.pointer) != nil)
    #expect(leaf.extensionValue(NID_subject_key_identifier) != nil)
    #expect(ASN1_INTEGER_cmp(X509_get0_serialNumber(root.pointer), X509_get0_serialNumber(leaf.pointer)) != 0)
    #expect(X509_NAME_cmp(X509_get_issuer_name(leaf.pointer), X509_get_subject_name(root.pointer)) == 0)
  }

  @Test func filesAreThisUsersAlone() throws {
    let ca = try prepare()
    #expect(try mode(home.path + "/a") == 0o700)
    #expect(try mode(state) == 0o700)
    for path in [ca.caFile, ca.certificateFile, ca.keyFile, state + "/ca-key.pem"] { #expect(try mode(path) == 0o600) }
  }

  @Test func whatIsThereIsKept() throws {
    let ca = try prepare()
    let before = try [ca.caFile, ca.certificateFile, ca.keyFile].map(content)
    _ = try prepare(now: now + 330 * Self.day)
    #expect(try [ca.caFile, ca.certificateFile, ca.keyFile].map(content) == before)
  }

  @Test func serverCertificatesAreRenewedInTime() throws {
    let ca = try prepare()
    let (root, leaf) = (try content(ca.caFile), try content(ca.certificateFile))
    let later = now + 336 * Self.day
    _ = try prepare(now: later)
    #expect(try content(ca.caFile) == root)
    #expect(try content(ca.certificateFile) != leaf)
    #expect(try verify(ca, host: "localhost", at: later + 364 * Self.day) == X509_V_OK)
  }

  @Test func otherNamesNeedAnotherCertificate() throws {
    let ca = try prepare()
    let root = try content(ca.caFile)
    _ = try prepare(HostNamespace(engineHost: "edge.test"))
    #expect(try content(ca.caFile) == root)
    #expect(try verify(ca, host: "x.t.edge.test") == X509_V_OK)
    #expect(try verify(ca, host: "project.localhost") == X509_V_ERR_HOSTNAME_MISMATCH)
  }

  @Test func authoritiesAreRenewedBeforeTheyEnd() throws {
    let ca = try prepare()
    let root = try content(ca.caFile)
    let later = now + 3400 * Self.day
    _ = try prepare(now: later)
    #expect(try content(ca.caFile) != root)
    #expect(try verify(ca, host: "localhost", at: later) == X509_V_OK)
  }

  @Test func brokenServerFilesAreReplaced() throws {
    let ca = try prepare()
    for path in [ca.certificateFile, ca.keyFile] {
      #expect(truncate(path, 10) == 0)
      _ = try prepare()
      #expect(try verify(ca, host: "localhost") == X509_V_OK)
    }
    #expect(unlink(ca.certificateFile) == 0)
    _ = try prepare()
    #expect(try verify(ca, host: "localhost") == X509_V_OK)
    // The certificate of another authority.
    #expect(unlink(ca.caFile) == 0)
    _ = try prepare()
    #expect(try verify(ca, host: "localhost") == X509_V_OK)
  }

  @Test func aDamagedAuthorityIsNotReplacedUnasked() throws {
    let ca = try prepare()
    #expect(truncate(ca.caFile, 10) == 0)
    let failure = #expect(throws: Failure.self) { try prepare() }
    #expect(failure?.message.contains("remove both") == true)
    #expect(try content(ca.caFile).count == 10)
  }

  @Test func nothingTemporaryIsLeft() throws {
    _ = try prepare()
    let files = TemporaryDirectory()
    _ = try DevelopmentCA.prepare(stateDirectory: files.path, namespace, now: now)
    #expect(files.names == ["ca-key.pem", "ca.pem", "server-key.pem", "server.pem"])
  }

  @Test func directoriesThatOthersCanWriteToAreRefused() throws {
    for mode in [0o770, 0o707, 0o1777] as [mode_t] {
      #expect(chmod(home.path, mode) == 0)
      let failure = #expect(throws: Failure.self) {
        try DevelopmentCA.prepare(stateDirectory: home.path, namespace, now: now)
      }
      #expect(failure?.code == -EPERM)
      #expect(failure?.message.contains("others can write to it") == true)
    }
    #expect(home.names.isEmpty)
  }

  @Test func directoriesThatCannotBeMadeTellWhy() {
    let failure = #expect(throws: Failure.self) {
      try DevelopmentCA.prepare(stateDirectory: "/proc/nothing/here", namespace, now: now)
    }
    #expect(failure?.message.contains("/proc/nothing") == true)
    #expect((failure?.code ?? 0) < 0)
  }

  @Test func enginesThatStartAtOnceAgree() throws {
    final class Attempt: @unchecked Sendable {
      let directory: String
      var succeeded = false
      init(_ directory: String) { self.directory = directory }
    }
    let attempts = (0..<6).map { _ in Attempt(state) }
    var threads: [pthread_t] = []
    for attempt in attempts {
      var thread = pthread_t()
      let data = Unmanaged.passRetained(attempt).toOpaque()
      let started = pthread_create(
        &thread, nil,
        { data in
          guard let data else { return nil }
          let attempt = Unmanaged<Attempt>.fromOpaque(data).takeRetainedValue()
          let namespace = HostNamespace(engineHost: "project.localhost")
          let made = try? DevelopmentCA.prepare(
            stateDirectory: attempt.directory, namespace, now: Int64(time(nil)))
          attempt.succeeded = made != nil
          return nil
        }, data)
      try #require(started == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    #expect(attempts.filter { !$0.succeeded }.isEmpty)
    #expect(try verify(try prepare(), host: "localhost") == X509_V_OK)
  }
}
