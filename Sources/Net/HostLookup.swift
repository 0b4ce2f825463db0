// SPDX-License-Identifier: Apache-2.0

/// Finds the addresses of a host by the resolver that a path wants: the platform's, or name servers of its own.
final class HostLookup {
  typealias Completion = (Result<[SocketAddress], Failure>) -> Void

  private var resolver: Resolver?
  private var resolution: DNSResolution?
  private var completion: Completion?

  init(_ loop: Loop, _ endpoint: ServerEndpoint, by path: NetworkPath, _ completion: @escaping Completion) {
    self.completion = completion
    if let dns = path.dns {
      resolution = DNSResolution(loop, host: endpoint.host, port: endpoint.port, dns, path.sockets) { [self] in
        finish($0, endpoint, path)
      }
    } else {
      resolver = Resolver(loop, host: endpoint.host, port: endpoint.port) { [self] in finish($0, endpoint, path) }
    }
  }

  func cancel() {
    completion = nil
    resolver?.cancel()
    resolver = nil
    resolution?.cancel()
    resolution = nil
  }

  private func finish(_ result: Result<[SocketAddress], Failure>, _ endpoint: ServerEndpoint, _ path: NetworkPath) {
    resolver = nil
    resolution = nil
    let report = completion
    completion = nil
    do throws(Failure) {
      report?(.success(try path.sockets.usable(try result.get(), of: endpoint.host)))
    } catch {
      report?(.failure(error))
    }
  }
}
