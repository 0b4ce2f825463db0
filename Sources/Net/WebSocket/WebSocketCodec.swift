// SPDX-License-Identifier: Apache-2.0
import CWslay

/// Messages of WebSocket (RFC 6455) for either side, without a socket: bytes in, events and bytes out. Pings are answered
/// and closing is agreed to here; a peer that breaks the rules is told so and not read any more.
///
/// wslay reads and writes the frames. Its own layer above them is not used: it keeps a block of memory for every frame,
/// however small, and does not tell what it objects to.
public final class WebSocketCodec {
  public enum Role: Sendable {
    /// Masks what it sends.
    case client
    case server
  }

  public enum Event: Equatable, Sendable {
    case message([UInt8], isText: Bool)
    case ping
    case pong
    /// The peer closes; the code is 1005 when it gives none.
    case closed(code: UInt16, reason: String)
    /// The peer breaks the rules in the way that the code tells; so it is told, unless closing had begun.
    case violated(code: UInt16)
  }

  private struct Violation: Error {
    let code: UInt16
    init(_ code: UInt16) { self.code = code }
  }

  private static let text = UInt8(WSLAY_TEXT_FRAME.rawValue)
  private static let binary = UInt8(WSLAY_BINARY_FRAME.rawValue)
  private static let continuation = UInt8(WSLAY_CONTINUATION_FRAME.rawValue)
  private static let close = UInt8(WSLAY_CONNECTION_CLOSE.rawValue)
  private static let ping = UInt8(WSLAY_PING.rawValue)
  private static let pong = UInt8(WSLAY_PONG.rawValue)

  private let role: Role
  private let limit: Int
  private var context: wslay_frame_context_ptr?
  private var output: [UInt8] = []
  private var hasSentClose = false
  /// Nothing is read any more.
  private var isOver = false

  /// What is being read, and how far it has been.
  private var input = UnsafeRawBufferPointer(start: nil, count: 0)
  private var position = 0
  /// How many bytes of the frame have come; nothing between frames.
  private var frameBytes: UInt64?
  /// The opcode of the message that is coming in, perhaps in several frames.
  private var messageOpcode: UInt8?
  private var message: [UInt8] = []
  /// The payload of a control frame; one may come between the frames of a message.
  private var control: [UInt8] = []

  /// - Parameter limit: how many bytes a message from the peer may have
  public init(_ role: Role, limit: Int) {
    self.role = role
    self.limit = limit
    var callbacks = wslay_frame_callbacks()
    callbacks.recv_callback = { buffer, length, _, data in WebSocketCodec.at(data)?.copyInput(to: buffer, length) ?? -1
    }
    callbacks.send_callback = { bytes, length, _, data in
      guard let codec = WebSocketCodec.at(data) else { return -1 }
      codec.output.append(contentsOf: UnsafeBufferPointer(start: bytes, count: length))
      return length
    }
    callbacks.genmask_callback = { mask, length, _ in
      var generator = SystemRandomNumberGenerator()
      for index in 0..<length { mask?[index] = .random(in: 0...255, using: &generator) }
      return mask == nil ? -1 : 0
    }
    wslay_frame_context_init(&context, &callbacks, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit { wslay_frame_context_free(context) }

  private static func at(_ data: UnsafeMutableRawPointer?) -> WebSocketCodec? {
    data.map { Unmanaged<WebSocketCodec>.fromOpaque($0).takeUnretainedValue() }
  }

  // MARK: Sending

  /// Sends a message in one frame. Nothing is sent any more once closing has begun.
  public func send(text: [UInt8]) { send(Self.text, text) }

  public func ping() { send(Self.ping, []) }

  /// - Parameter reason: at most 123 bytes
  public func close(_ code: UInt16, _ reason: String = "") {
    send(Self.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason.utf8.prefix(123))
    hasSentClose = true
  }

  private func send(_ opcode: UInt8, _ payload: [UInt8]) {
    guard !hasSentClose else { return }
    payload.withUnsafeBufferPointer { payload in
      var frame = wslay_frame_iocb()
      frame.fin = 1
      frame.opcode = opcode
      frame.mask = role == .client ? 1 : 0
      frame.payload_length = UInt64(payload.count)
      var sent = 0
      repeat {
        frame.data = payload.baseAddress.map { $0 + sent }
        frame.data_length = payload.count - sent
        let count = wslay_frame_send(context, &frame)
        guard count >= 0 else { return }
        sent += count
      } while sent < payload.count
    }
  }

  /// What has to be sent and was not taken before.
  public func takeOutput() -> [UInt8] {
    defer { output = [] }
    return output
  }

  // MARK: Receiving

  /// Reads bytes. Nothing comes after `closed` and `violated`.
  public func feed(_ bytes: UnsafeRawBufferPointer) -> [Event] {
    var events: [Event] = []
    input = bytes
    position = 0
    defer { input = UnsafeRawBufferPointer(start: nil, count: 0) }
    do throws(Violation) {
      var frame = wslay_frame_iocb()
      while !isOver {
        let count = wslay_frame_recv(context, &frame)
        if count == WSLAY_ERR_WANT_READ.rawValue { break }
        guard count >= 0 else { throw Violation(CloseCode.protocolError) }
        if let event = try received(frame) { events.append(event) }
      }
    } catch {
      isOver = true
      if !hasSentClose { close(error.code) }
      events.append(.violated(code: error.code))
    }
    return events
  }

  private func copyInput(to buffer: UnsafeMutablePointer<UInt8>?, _ length: Int) -> Int {
    let count = min(length, input.count - position)
    guard count > 0, let buffer else { return -1 }
    UnsafeMutableRawBufferPointer(start: buffer, count: count)
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: input[position..<position + count]))
    position += count
    return count
  }

  /// Takes a piece of a frame, which may be all of it.
  private func received(_ frame: wslay_frame_iocb) throws(Violation) -> Event? {
    if frameBytes == nil { try begin(frame) }
    let isControl = frame.opcode & 8 != 0
    let piece = UnsafeBufferPointer(start: frame.data, count: frame.data_length)
    if isControl { control.append(contentsOf: piece) } else { message.append(contentsOf: piece) }
    let count = (frameBytes ?? 0) + UInt64(piece.count)
    guard count == frame.payload_length else {
      frameBytes = count
      return nil
    }
    frameBytes = nil
    if isControl { return try endControl(frame.opcode) }
    return frame.fin == 1 ? try endMessage() : nil
  }

  private func begin(_ frame: wslay_frame_iocb) throws(Violation) {
    guard frame.rsv == 0, (frame.mask == 1) == (role == .server) else { throw Violation(CloseCode.protocolError) }
    switch (frame.opcode, messageOpcode) {
    case (Self.close, _), (Self.ping, _), (Self.pong, _):
      control = []
      return
    case (Self.text, nil), (Self.binary, nil): messageOpcode = frame.opcode
    case (Self.continuation, .some): break
    default: throw Violation(CloseCode.protocolError)
    }
    guard frame.payload_length <= UInt64(limit - message.count) else { throw Violation(CloseCode.tooBig) }
  }

  private func endMessage() throws(Violation) -> Event {
    let isText = messageOpcode == Self.text
    messageOpcode = nil
    defer { message = [] }
    if isText, String(validating: message, as: UTF8.self) == nil { throw Violation(CloseCode.invalidData) }
    return .message(message, isText: isText)
  }

  private func endControl(_ opcode: UInt8) throws(Violation) -> Event {
    switch opcode {
    case Self.ping:
      send(Self.pong, control)
      return .ping
    case Self.pong: return .pong
    default: return try endClose()
    }
  }

  private func endClose() throws(Violation) -> Event {
    var code = CloseCode.none
    var reason = ""
    if !control.isEmpty {
      guard control.count >= 2 else { throw Violation(CloseCode.protocolError) }
      code = UInt16(control[0]) << 8 | UInt16(control[1])
      guard CloseCode.maySay(code) else { throw Violation(CloseCode.protocolError) }
      guard let text = String(validating: control[2...], as: UTF8.self) else { throw Violation(CloseCode.invalidData) }
      reason = text
    }
    isOver = true
    send(Self.close, Array(control.prefix(2)))
    hasSentClose = true
    return .closed(code: code, reason: reason)
  }
}
