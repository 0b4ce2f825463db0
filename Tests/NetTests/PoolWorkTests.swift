// SPDX-License-Identifier: Apache-2.0
import Glibc
import RstreamNet
import TestSupport
import Testing

struct PoolWorkTests {
  /// The work waits for what only the loop can give it.
  @Test func theLoopGoesOnMeanwhile() throws {
    let test = try TestLoop()
    var pipe: [Int32] = [0, 0]
    try #require(Glibc.pipe(&pipe) == 0)
    var answer: UInt8?
    PoolWork.run(
      test.loop,
      { [pipe] in
        var byte: UInt8 = 0
        read(pipe[0], &byte, 1)
        return byte
      }, { answer = $0 })
    #expect(answer == nil)
    test.loop.later { [pipe] in
      var byte: UInt8 = 42
      write(pipe[1], &byte, 1)
    }
    test.run { answer != nil }
    #expect(answer == 42)
    close(pipe[0])
    close(pipe[1])
    test.close()
  }
}
