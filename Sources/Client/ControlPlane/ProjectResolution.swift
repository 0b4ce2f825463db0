// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamConfig
import RstreamJSON
import RstreamNet

/// One question to a control plane: where is the engine of this project? It goes the ordinary way, with the system's
/// certificate authorities; the settings of the engine's connection are not for the control plane.
final class ProjectResolution: ClientOperation<EngineAddress>, APIResponseReceiver {
  /// All of it takes no longer, in milliseconds.
  private static let timeout: UInt64 = 10_000
  private static let bodyLimit = 262_144

  private let project: ManagedProject
  private var deadline: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var resolver: Resolver?
  private var connector: SocketConnector?
  private var connection: APIConnection?
  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  init(_ client: Client, _ project: ManagedProject, _ completion: @escaping Completion) {
    self.project = project
    super.init(
      of: client, "ask \(project.apiURL.text) for the engine of project \(project.endpoint)", completion)
    deadline = LoopTimer(client.loop, after: Self.timeout) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "\(attempt): no answer after \(Self.timeout) ms")))
    }
    if project.apiURL.isSecure { connectSecurely() } else { connectPlainly() }
  }

  // MARK: Connecting

  private func connectSecurely() {
    var settings = TLSContext.ClientSettings()
    settings.allowsTLS12 = true
    settings.alpn = ["http/1.1"]
    let context: TLSContext
    do throws(Failure) { context = try TLSContext(client: settings) } catch {
      return client.loop.later { [self] in finish(.failure(error.during(attempt))) }
    }
    let endpoint = ServerEndpoint(host: project.apiURL.host, port: project.apiURL.port)
    outgoing = OutgoingConnection(
      client.loop, to: endpoint, context: context, sessions: nil, addresses: nil, timeout: Self.timeout
    ) { [self] result in
      outgoing = nil
      switch result {
      case .success(let channel): ask(over: channel)
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      }
    }
  }

  private func connectPlainly() {
    resolver = Resolver(client.loop, host: project.apiURL.host, port: project.apiURL.port) { [self] result in
      resolver = nil
      switch result {
      case .failure(let failure): finish(.failure(failure.during(attempt)))
      case .success(let addresses):
        connector = SocketConnector(client.loop, to: addresses) { [self] result in
          connector = nil
          switch result {
          case .success(let channel): ask(over: channel)
          case .failure(let failure): finish(.failure(failure.during(attempt)))
          }
        }
      }
    }
  }

  private func ask(over channel: ByteChannel) {
    let connection = APIConnection(channel, onIdle: { $0.close() }, onLost: { _ in })
    self.connection = connection
    connection.send(request(), to: self)
  }

  private func request() -> [UInt8] {
    let url = project.apiURL
    let host = url.host.utf8.contains(UInt8(ascii: ":")) ? "[\(url.host)]" : url.host
    let isUsualPort = url.port == (url.isSecure ? 443 : 80)
    let path = "\(url.path)/api/projects/tunnels/resolve/\(percentEncoded(project.endpoint.utf8))"
    var head = HTTPRequestHead(
      method: "GET", scheme: url.isSecure ? "https" : "http", authority: isUsualPort ? host : "\(host):\(url.port)",
      path: Array(path.utf8))
    head.headers.append("Accept", "application/json")
    head.headers.append("User-Agent", "\(ClientIdentity.agent)/\(LibraryVersion.text)")
    for header in client.settings.headers.headers { head.headers.append(header.name, header.value) }
    // A client certificate is for the engine: it says nothing to a control plane.
    if let token = client.settings.token { head.headers.append("Authorization", "Bearer \(token)") }
    var bytes: [UInt8] = []
    HTTP1Serializer.append(head, to: &bytes)
    return bytes
  }

  // MARK: APIResponseReceiver

  func received(_ head: HTTPResponseHead) { self.head = head }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard let head, body.count + bytes.count > Self.bodyLimit else { return body.append(contentsOf: bytes) }
    guard head.isSuccess else { return answered() }
    finish(.failure(Failure(ErrorCode.apiInvalidResponse, "\(attempt): the answer is larger than 256 KiB")))
  }

  func responseEnded() {
    connection = nil
    answered()
  }

  func responseFailed(_ failure: Failure, isReceived: Bool) {
    connection = nil
    finish(.failure(failure.during(attempt)))
  }

  private func answered() {
    guard let head else { return }
    guard head.isSuccess else { return finish(.failure(refusal(head))) }
    do throws(Failure) {
      finish(.success(try ProjectDescription(body, attempt).engine(in: project.region)))
    } catch {
      finish(.failure(isMarkup(head) ? protection(head) : error))
    }
  }

  // MARK: Refusals

  private func refusal(_ head: HTTPResponseHead) -> Failure {
    if isMarkup(head), !(300..<400).contains(head.status) { return protection(head) }
    var words = APIError.words(head, body, hiding: client.secrets)
    if let json = try? JSONParser.parse(body), let message = json["error"]?.string {
      words = APIError.words(head, Array(message.utf8), hiding: client.secrets)
    }
    let advice =
      switch head.status {
      case 401: "; not authenticated: log in again, or set RSTREAM_AUTHENTICATION_TOKEN"
      case 403: "; not authorized: the token has no right to see the project"
      case 404: "; is projectEndpoint right?"
      case 300..<400: "; redirects are not followed: set apiUrl to where it leads"
      default: ""
      }
    return Failure(
      ErrorCode.apiHTTP,
      "\(attempt): the control plane answered \(head.status)\(words.isEmpty ? "" : ": \(words)")\(advice)")
  }

  /// A page instead of an answer is of somebody in between.
  private func protection(_ head: HTTPResponseHead) -> Failure {
    Failure(
      ErrorCode.apiHTTP,
      "\(attempt): a web page came back (status \(head.status)): access protection is in between; "
        + "set headers or RSTREAM_CONTROL_PLANE_HEADERS to what lets requests through")
  }

  private func isMarkup(_ head: HTTPResponseHead) -> Bool {
    if let type = head.headers.first("content-type"), type.lowercased().hasPrefix("text/html") { return true }
    return body.first { !($0 == 0x20 || (0x09...0x0D).contains($0)) } == UInt8(ascii: "<")
  }

  // MARK: Ending

  override func release() {
    deadline?.close()
    deadline = nil
    outgoing?.cancel()
    outgoing = nil
    resolver?.cancel()
    resolver = nil
    connector?.cancel()
    connector = nil
    connection?.close()
    connection = nil
  }
}
