// SPDX-License-Identifier: Apache-2.0
import CUV
import Glibc

/// One look-up of a host name through the platform's resolver, on libuv's thread pool.
public final class Resolver {
  public typealias Completion = (Result<[SocketAddress], Failure>) -> Void

  private let loop: Loop
  private let host: String
  private let port: UInt16
  private var request: UnsafeMutablePointer<uv_getaddrinfo_t>?
  private var completion: Completion?

  /// Starts a look-up. IP literals and localhost are answered without asking anybody, still not from inside this call.
  public init(_ loop: Loop, host: String, port: UInt16, _ completion: @escaping Completion) {
    self.loop = loop
    self.host = host
    self.port = port
    self.completion = completion
    if let known = Self.knownAddresses(host, port) {
      loop.later { [self] in finish(.success(known)) }
      return
    }
    let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    let status = uv_getaddrinfo(
      loop.uv, request,
      { request, status, list in
        guard let request, let data = request.pointee.data else { return }
        let resolver = Unmanaged<Resolver>.fromOpaque(data).takeRetainedValue()
        request.deallocate()
        resolver.request = nil
        resolver.answered(status, list)
      }, host, nil, &hints)
    if status == 0 {
      self.request = request
      loop.handleOpened()
    } else {
      Unmanaged.passUnretained(self).release()
      request.deallocate()
      loop.later { [self] in finish(.failure(.uv(status, "look up \(host)"))) }
    }
  }

  /// Forgets the completion. The platform's look-up itself may go on for a while.
  public func cancel() {
    completion = nil
    if let request { uv_cancel(UnsafeMutableRawPointer(request).assumingMemoryBound(to: uv_req_t.self)) }
  }

  private func answered(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
    var addresses: [SocketAddress] = []
    var entry = list
    while let current = entry {
      if let raw = current.pointee.ai_addr, var address = SocketAddress(raw) {
        address.port = port
        if !addresses.contains(address) { addresses.append(address) }
      }
      entry = current.pointee.ai_next
    }
    uv_freeaddrinfo(list)
    if status != 0 {
      finish(.failure(.uv(status, "look up \(host)")))
    } else if addresses.isEmpty {
      finish(.failure(Failure(UV_EAI_NODATA.rawValue, "look up \(host): the name has no address")))
    } else {
      finish(.success(addresses))
    }
    loop.handleClosed()
  }

  private func finish(_ result: Result<[SocketAddress], Failure>) {
    let completion = self.completion
    self.completion = nil
    completion?(result)
  }

  /// Whether a failure says that the name does not exist, which asking again does not change.
  public static func meansUnknown(_ code: Int32) -> Bool {
    code == UV_EAI_NONAME.rawValue || code == UV_EAI_NODATA.rawValue
  }

  /// IP literals, and the names that RFC 6761 reserves for this machine.
  static func knownAddresses(_ host: String, _ port: UInt16) -> [SocketAddress]? {
    if let literal = SocketAddress(literal: host, port: port) { return [literal] }
    var name = host.lowercased()
    if name.hasSuffix(".") { name.removeLast() }
    guard name == "localhost" || name.hasSuffix(".localhost") else { return nil }
    return ["127.0.0.1", "::1"].compactMap { SocketAddress(literal: $0, port: port) }
  }
}
