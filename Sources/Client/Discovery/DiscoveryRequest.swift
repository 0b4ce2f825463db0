// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

/// One question to an engine: where is its API for clients with a certificate? Whoever asks says nothing of himself, and
/// the engine always proves who it is.
final class DiscoveryRequest: ClientOperation<DiscoveryRequest.Found>, APIResponseReceiver {
  /// A document, and for how many seconds it may be believed.
  typealias Found = (document: DiscoveryDocument, seconds: UInt64)

  private let engine: EngineAddress
  private var deadline: LoopTimer?
  private var outgoing: OutgoingConnection?
  private var connection: APIConnection?
  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  init(_ client: Client, _ engine: EngineAddress, _ completion: @escaping Completion) {
    self.engine = engine
    super.init(of: client, "find the API", completion)
    let timeout = APIRequest.timeout(client)
    deadline = LoopTimer(client.loop, after: timeout) { [self] in refuse("no answer within \(timeout) ms") }
    do throws(Failure) {
      outgoing = try client.transport.connectAnonymously(timeout: timeout) { [self] result in
        outgoing = nil
        switch result {
        case .success(let channel): ask(over: channel)
        case .failure(let failure): refuse(failure.message)
        }
      }
    } catch {
      client.loop.later { [self] in refuse(error.message) }
    }
  }

  private func ask(over channel: ByteChannel) {
    let connection = APIConnection(channel, onIdle: { $0.close() }, onLost: { _ in })
    self.connection = connection
    var head = HTTPRequestHead(
      method: "GET", scheme: "https", authority: Client.authority(engine), path: Array(DiscoveryDocument.path.utf8))
    head.headers.append("Accept", "application/json")
    head.headers.append("User-Agent", Client.userAgent)
    var bytes: [UInt8] = []
    HTTP1Serializer.append(head, to: &bytes)
    connection.send(bytes, to: self)
  }

  // MARK: APIResponseReceiver

  func received(_ head: HTTPResponseHead) {
    self.head = head
    switch head.status {
    case 200: break
    case 300..<400: refuse("status \(head.status), and redirects are not followed")
    case 404: refuse("status 404: it offers none")
    default: refuse("status \(head.status)")
    }
  }

  func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    guard body.count + bytes.count <= DiscoveryDocument.limit else {
      return refuse("what it says is larger than \(DiscoveryDocument.limit) bytes")
    }
    body.append(contentsOf: bytes)
  }

  func responseEnded() {
    connection = nil
    guard let head else { return refuse("no answer") }
    do throws(DiscoveryDocument.Invalid) {
      let document = try DiscoveryDocument(body, ofEngine: engine.host)
      finish(.success((document, Freshness.seconds(head.headers))))
    } catch {
      refuse(error.reason)
    }
  }

  func responseFailed(_ failure: Failure, isReceived: Bool) {
    connection = nil
    refuse(failure.message)
  }

  // MARK: Ending

  private func refuse(_ why: String) {
    finish(
      .failure(
        Failure(
          ErrorCode.engineDiscovery,
          "invalid or unavailable mTLS API discovery at https://\(Client.authority(engine))\(DiscoveryDocument.path): \(why)"
            + "; set mtlsApiUrl to where clients with a certificate find the API, or use a token")))
  }

  override func release() {
    deadline?.close()
    deadline = nil
    outgoing?.cancel()
    outgoing = nil
    connection?.close()
    connection = nil
  }
}
