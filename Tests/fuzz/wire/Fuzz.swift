// SPDX-License-Identifier: Apache-2.0
import RstreamWire

// Any bytes, once as a message and once as a stream of frames.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  checkMessage(input)
  checkFrames(input)
  return 0
}

private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}

/// What was read can be written, and reading that gives the same.
private func checkMessage(_ payload: [UInt8]) {
  guard let message = try? Message.decode(payload) else { return }
  let written = message.encoded()
  guard let again = try? Message.decode(written) else { fatalError("cannot read what was written: \(message)") }
  expect(again == message, "read \(message), then \(again)")
  expect(again.encoded() == written, "written differently: \(message)")
  if let frame = try? message.framed() {
    expect(Array(frame.dropFirst(Frame.headerSize)) == written, "framed differently: \(message)")
  } else {
    expect(written.count > Frame.maximumPayload, "not framed: \(message)")
  }
}

/// The frames of a stream, why they end, and what is left then.
private struct Frames: Equatable {
  var payloads: [[UInt8]] = []
  var error: FrameError?
  var remainder: [UInt8] = []
}

/// However the stream is cut, and whichever way it is read, the frames are the same.
private func checkFrames(_ stream: [UInt8]) {
  let expected = oneByOne(stream)
  var random = Splits(seed: stream)
  expect(appended(stream, &random) == expected, "appended in pieces")
  expect(asPackets(stream, stopping: false, &random) == expected, "as packets")
  expect(asPackets(stream, stopping: true, &random) == expected, "as packets, one at a time")
}

/// The definition, without a reader.
private func oneByOne(_ stream: [UInt8]) -> Frames {
  var frames = Frames()
  var rest = stream[...]
  while rest.count >= Frame.headerSize {
    let length = rest.prefix(Frame.headerSize).reduce(0) { $0 << 8 | Int($1) }
    if length > Frame.maximumPayload {
      frames.error = .tooLarge(length)
      break
    }
    guard rest.count >= Frame.headerSize + length else { break }
    frames.payloads.append(Array(rest.dropFirst(Frame.headerSize).prefix(length)))
    rest = rest.dropFirst(Frame.headerSize + length)
  }
  frames.remainder = Array(rest)
  return frames
}

private func appended(_ stream: [UInt8], _ random: inout Splits) -> Frames {
  var frames = Frames()
  var reader = FrameReader()
  var rest = stream[...]
  while !rest.isEmpty, frames.error == nil {
    let piece = random.next(of: &rest)
    do {
      try reader.append(Array(piece))
      while let payload = try reader.next() { frames.payloads.append(payload) }
    } catch {
      frames.error = error
    }
  }
  frames.remainder = reader.takeRemainder() + rest
  expect(reader.isEmpty, "not empty after its remainder was taken")
  return frames
}

private func asPackets(_ stream: [UInt8], stopping: Bool, _ random: inout Splits) -> Frames {
  var frames = Frames()
  var reader = FrameReader()
  var rest = stream[...]
  while !rest.isEmpty, frames.error == nil {
    var piece = Array(random.next(of: &rest))
    do {
      while try !reader.packets(
        in: piece.span,
        { packet in
          frames.payloads.append(packet.withUnsafeBufferPointer(Array.init))
          return !stopping
        })
      { piece = [] }
    } catch {
      frames.error = error as? FrameError
      // What the chunk held is gone with the error: the stream is useless from here on.
      frames.remainder = oneByOne(stream).remainder
      return frames
    }
  }
  frames.remainder = reader.takeRemainder() + rest
  return frames
}

/// Where to cut, decided by the input itself, so that a finding can be repeated.
private struct Splits {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  init(seed: [UInt8]) {
    for byte in seed.prefix(64) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  mutating func next(of rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    // Mostly a few bytes, sometimes much.
    let most = 1 << Int(state >> 60)
    let piece = rest.prefix(1 + Int(state >> 32) % most)
    rest = rest.dropFirst(piece.count)
    return piece
  }
}
