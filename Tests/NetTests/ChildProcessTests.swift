// SPDX-License-Identifier: Apache-2.0
import CUV
import TestSupport
import Testing

@testable import RstreamNet

@Suite struct ChildProcessTests {
  private func run(
    _ script: String, input: String = "", environment: [String] = [], milliseconds: UInt64 = 20_000, output: Int = 1000
  ) throws -> Result<ChildProcess.Output, Failure> {
    let test = try TestLoop()
    var outcome: Result<ChildProcess.Output, Failure>?
    let limits = ChildProcess.Limits(milliseconds: milliseconds, standardOutput: output, standardError: 4)
    let child = try ChildProcess(
      test.loop, "run", command: ["/bin/sh", "-c", script], environment: environment, input: Array(input.utf8),
      limits: limits
    ) { outcome = $0 }
    test.run { outcome != nil }
    withExtendedLifetime(child) {}
    test.close()
    return try #require(outcome)
  }

  @Test func hearsAndAnswers() throws {
    let output = try run("cat; echo $A; pwd; echo -n 123456 >&2; exit 3", input: "in\n", environment: ["A=b"]).get()
    #expect(String(decoding: output.standardOutput, as: UTF8.self) == "in\nb\n/\n")
    #expect(String(decoding: output.standardError, as: UTF8.self) == "1234")
    #expect(output.exitStatus == 3 && output.signal == 0)
  }

  @Test func nobodyIsKilledByAProgramThatDoesNotListen() throws {
    #expect(try run("exec <&-; echo yes", input: String(repeating: "x", count: 50_000)).get().exitStatus == 0)
  }

  @Test func tellsOfSignals() throws {
    #expect(try run("kill -9 $$").get().signal == 9)
  }

  @Test func isBounded() throws {
    #expect(try run("sleep 60", milliseconds: 50).failure?.code == ErrorCode.operationTimeout)
    // A grandchild that keeps the output open.
    #expect(try run("sleep 60 & exit 0", milliseconds: 200).failure?.code == ErrorCode.operationTimeout)
    #expect(try run("head -c 5000 /dev/zero").failure?.message.contains("more than 1000 bytes") == true)
  }

  @Test func programsThatAreNotThere() throws {
    let test = try TestLoop()
    let limits = ChildProcess.Limits(milliseconds: 1000, standardOutput: 10, standardError: 10)
    #expect(throws: Failure.self) {
      try ChildProcess(
        test.loop, "run", command: ["/nonexistent"], environment: [], input: [], limits: limits
      ) { _ in Issue.record("told as well") }
    }
    test.close()
  }

  @Test func cancellingTellsNobody() throws {
    let test = try TestLoop()
    let limits = ChildProcess.Limits(milliseconds: 60_000, standardOutput: 10, standardError: 10)
    let child = try ChildProcess(
      test.loop, "run", command: ["/bin/sh", "-c", "sleep 60"], environment: [], input: [], limits: limits
    ) { _ in Issue.record("told") }
    child.cancel()
    // Closing waits for the program's end.
    test.close()
  }
}

extension Result where Failure == RstreamNet.Failure {
  fileprivate var failure: RstreamNet.Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
