// SPDX-License-Identifier: Apache-2.0
import RstreamWire
import Testing

@Suite("Frames that other implementations write") struct VectorTests {
  @Test("are what we write", arguments: vectors) func encode(_ vector: Vector) throws {
    #expect(try vector.message.framed() == vector.frame)
    #expect(try Frame.encode(vector.message) == vector.frame)
    #expect(vector.message.encoded() == vector.payload)
  }

  @Test("are read as what was meant", arguments: vectors) func decode(_ vector: Vector) throws {
    #expect(try Message.decode(vector.payload) == vector.message)
    var reader = FrameReader()
    try reader.append(vector.frame)
    #expect(try reader.nextMessage() == vector.message)
    #expect(try reader.nextMessage() == nil)
    #expect(reader.isEmpty)
  }
}
