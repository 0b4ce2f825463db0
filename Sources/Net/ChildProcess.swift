// SPDX-License-Identifier: Apache-2.0
import CPlatform
import CUV
import Glibc

/// One run of a program that is given something on its standard input and answers on its standard output, under limits of
/// time and size. What it inherits is what is named.
public final class ChildProcess: Attempt<ChildProcess.Output> {
  public struct Output {
    public let exitStatus: Int64
    /// Nothing when the program ended by itself.
    public let signal: Int32
    public let standardOutput: [UInt8]
    public let standardError: [UInt8]
  }

  public struct Limits {
    public var milliseconds: UInt64
    public var standardOutput: Int
    /// What is more is not kept.
    public var standardError: Int

    public init(milliseconds: UInt64, standardOutput: Int, standardError: Int) {
      self.milliseconds = milliseconds
      self.standardOutput = standardOutput
      self.standardError = standardError
    }
  }

  private let loop: Loop
  private let limits: Limits
  private let attempt: String
  private var timer: LoopTimer?
  private let process = UnsafeMutablePointer<uv_process_t>.allocate(capacity: 1)
  private let output: ChildOutput
  private let errors: ChildOutput
  private var exit: (status: Int64, signal: Int32)?

  /// - Parameters:
  ///   - command: the path, then the arguments
  ///   - environment: NAME=value
  public init(
    _ loop: Loop, _ attempt: String, command: [String], environment: [String], input: [UInt8], limits: Limits,
    _ completion: @escaping Completion
  ) throws(Failure) {
    self.loop = loop
    self.limits = limits
    self.attempt = attempt
    output = ChildOutput(loop, limit: limits.standardOutput)
    errors = ChildOutput(loop, limit: limits.standardError)
    super.init(completion)
    let status = start(command, environment, input)
    guard status == 0 else {
      output.close()
      errors.close()
      if !isProcessInitialized { process.deallocate() }
      throw .uv(status, attempt)
    }
    timer = LoopTimer(loop, after: limits.milliseconds) { [self] in
      finish(.failure(Failure(ErrorCode.operationTimeout, "\(attempt): no answer after \(limits.milliseconds) ms")))
    }
    output.begin { [self] in read() }
    errors.begin { [self] in read() }
  }

  private var isProcessInitialized = false

  private func start(_ command: [String], _ environment: [String], _ input: [UInt8]) -> Int32 {
    var pair: [Int32] = [-1, -1]
    let made = rstream_socket_pair(&pair)
    guard made == 0 else { return made }
    defer { for descriptor in pair { close(descriptor) } }
    // Small by nature: it fits into the socket at once, and nobody is killed by a program that does not read it.
    guard rstream_send(pair[0], input, input.count) == input.count else { return UV_E2BIG.rawValue }
    // The program's end blocks, as programs expect.
    let flags = fcntl(pair[1], F_GETFL)
    guard flags >= 0, fcntl(pair[1], F_SETFL, flags & ~O_NONBLOCK) == 0 else { return -errno }
    var arguments = command.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for text in arguments + variables { free(text) } }
    isProcessInitialized = true
    process.initialize(to: uv_process_t())
    loop.handleOpened()
    let status = rstream_uv_spawn(
      loop.uv, process,
      { process, status, signal in
        guard let data = process?.pointee.data else { return }
        Unmanaged<ChildProcess>.fromOpaque(data).takeUnretainedValue().exited(status, signal)
      }, &arguments, &variables, pair[1], output.pipe, errors.pipe)
    // Held until the program has ended, however that comes.
    process.pointee.data = Unmanaged.passRetained(self).toOpaque()
    if status != 0 { closeProcess() }
    return status
  }

  private func exited(_ status: Int64, _ signal: Int32) {
    exit = (status, signal)
    closeProcess()
    finishWhenDone()
  }

  private func closeProcess() {
    uv_close(UnsafeMutableRawPointer(process).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let child = Unmanaged<ChildProcess>.fromOpaque(data).takeRetainedValue()
      child.process.deallocate()
      child.loop.handleClosed()
    }
  }

  private func read() {
    if output.isOverLimit {
      return finish(
        .failure(
          Failure(ErrorCode.tls, "\(attempt): it answered with more than \(limits.standardOutput) bytes")))
    }
    finishWhenDone()
  }

  private func finishWhenDone() {
    guard let exit, output.hasEnded, errors.hasEnded else { return }
    finish(
      .success(
        Output(
          exitStatus: exit.status, signal: exit.signal, standardOutput: output.bytes, standardError: errors.bytes)))
  }

  /// Ends the program as well.
  public override func release() {
    timer?.close()
    timer = nil
    output.close()
    errors.close()
    if exit == nil { uv_process_kill(process, SIGKILL) }
  }
}

/// What a child process writes, up to a limit.
private final class ChildOutput {
  let pipe = UnsafeMutablePointer<uv_pipe_t>.allocate(capacity: 1)
  private let loop: Loop
  private let limit: Int
  private var onRead: (() -> Void)?
  private var isClosed = false
  private let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: ChildOutput.bufferSize)
  private static let bufferSize = 16_384

  private(set) var bytes: [UInt8] = []
  private(set) var isOverLimit = false
  private(set) var hasEnded = false

  init(_ loop: Loop, limit: Int) {
    self.loop = loop
    self.limit = limit
    uv_pipe_init(loop.uv, pipe, 0)
    pipe.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.handleOpened()
  }

  func begin(_ onRead: @escaping () -> Void) {
    self.onRead = onRead
    let stream = UnsafeMutableRawPointer(pipe).assumingMemoryBound(to: uv_stream_t.self)
    uv_read_start(
      stream,
      { handle, _, buffer in
        guard let data = handle?.pointee.data, let buffer else { return }
        let output = Unmanaged<ChildOutput>.fromOpaque(data).takeUnretainedValue()
        buffer.pointee = uv_buf_init(output.buffer, UInt32(ChildOutput.bufferSize))
      },
      { stream, count, _ in
        guard let data = stream?.pointee.data, count != 0 else { return }
        Unmanaged<ChildOutput>.fromOpaque(data).takeUnretainedValue().received(count)
      })
  }

  private func received(_ count: Int) {
    guard !isClosed else { return }
    if count < 0 {
      hasEnded = true
    } else {
      let space = limit - bytes.count
      isOverLimit = count > space
      buffer.withMemoryRebound(to: UInt8.self, capacity: count) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: $0, count: min(count, space)))
      }
    }
    onRead?()
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    onRead = nil
    uv_close(UnsafeMutableRawPointer(pipe).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle, let data = handle.pointee.data else { return }
      let output = Unmanaged<ChildOutput>.fromOpaque(data).takeRetainedValue()
      output.buffer.deallocate()
      output.pipe.deallocate()
      output.loop.handleClosed()
    }
  }
}
