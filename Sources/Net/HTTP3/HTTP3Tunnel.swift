// SPDX-License-Identifier: Apache-2.0

/// What an HTTP/3 tunnel tells.
protocol HTTP3TunnelDelegate: AnyObject {
  /// The server has said yes.
  func tunnelOpened()
  /// Bytes that came on the request's stream; borrowed for the call.
  func tunnelReceived(_ bytes: UnsafeRawBufferPointer)
  /// The server refuses, or the tunnel is over. Nothing is told after this.
  func tunnelFailed(_ failure: Failure)
}

/// One extended CONNECT (RFC 9220) with HTTP datagrams (RFC 9297) that has a QUIC connection to itself.
final class HTTP3Tunnel: HTTP3ConnectionDelegate, HTTP3StreamDelegate {
  private enum State { case awaitsSettings, asking, open, over }

  private let http: HTTP3Connection
  private let fields: [(name: String, value: String)]
  private weak var delegate: (any HTTP3TunnelDelegate)?
  private var state = State.awaitsSettings
  private var request: HTTP3Stream?

  /// - Parameter fields: of the request, pseudo-fields first
  init(
    over connection: QUICConnection, asking fields: [(name: String, value: String)], _ delegate: any HTTP3TunnelDelegate
  ) {
    http = HTTP3Connection(connection, enablesDatagrams: true)
    self.fields = fields
    self.delegate = delegate
  }

  /// The stream whose number HTTP datagrams name.
  var requestStream: Int64? { state == .open ? request?.id : nil }

  func start() throws(Failure) {
    http.delegate = self
    do throws(Failure) { try http.start() } catch {
      throw Failure(ErrorCode.proxy, error.message)
    }
  }

  /// Ends the tunnel; the connection is the owner's.
  func close() {
    delegate = nil
    state = .over
    request = nil
    http.close()
  }

  /// The peer has opened a stream.
  func accepted(_ stream: QUICStream) { http.accepted(stream) }

  private func fail(_ message: String) {
    guard state != .over else { return }
    let listener = delegate
    close()
    listener?.tunnelFailed(Failure(ErrorCode.proxy, message))
  }

  // MARK: HTTP3ConnectionDelegate

  func http3(_ connection: HTTP3Connection, learned settings: HTTP3Settings) {
    guard state == .awaitsSettings else { return }
    guard settings.enablesConnectProtocol, settings.enablesDatagrams else {
      let missing = settings.enablesConnectProtocol ? "HTTP datagrams" : "extended CONNECT"
      return fail("it does not carry UDP: its HTTP/3 settings lack \(missing)")
    }
    state = .asking
    do throws(Failure) {
      guard let stream = try http.openRequest() else { return fail("it allows no request") }
      stream.delegate = self
      request = stream
      // The stream stays open for what may follow; nothing does.
      stream.request(HTTP3FieldList(fields), isAll: false)
    } catch {
      fail(error.message)
    }
  }

  func http3(_ connection: HTTP3Connection, began stream: HTTP3Stream) {}

  func http3(_ connection: HTTP3Connection, ended stream: HTTP3Stream) {}

  func http3(_ connection: HTTP3Connection, failed failure: Failure, code: UInt64) { fail(failure.message) }

  // MARK: HTTP3StreamDelegate

  func http3(_ stream: HTTP3Stream, received fields: HTTP3Fields, isTrailer: Bool) {
    // Interim answers precede the one that counts.
    guard state == .asking, let status = fields.status, !(100..<200).contains(status) else { return }
    guard (200..<300).contains(status) else { return fail("CONNECT-UDP failed with \(status)") }
    state = .open
    delegate?.tunnelOpened()
  }

  func http3(_ stream: HTTP3Stream, receivedBody bytes: UnsafeRawBufferPointer) {
    if state == .open { delegate?.tunnelReceived(bytes) }
  }

  func http3ReceivedEnd(_ stream: HTTP3Stream) { fail("the proxy has ended the tunnel") }

  func http3(_ stream: HTTP3Stream, failed failure: Failure) { fail(failure.message) }
}
