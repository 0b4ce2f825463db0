// SPDX-License-Identifier: Apache-2.0
import RstreamWire

/// The live tunnels, by everything that they are found by.
final class TunnelRegistry {
  private var byID: [String: Tunnel] = [:]
  /// Names may be used several times; the newest tunnel is the last.
  private var byName: [String: [Tunnel]] = [:]
  private var byHostname: [String: Tunnel] = [:]
  private var order: [String: UInt64] = [:]
  private var nextOrder: UInt64 = 0

  /// All live tunnels, the newest first.
  var tunnels: [Tunnel] {
    byID.values.sorted { (order[$0.id] ?? 0) > (order[$1.id] ?? 0) }
  }

  func add(_ tunnel: Tunnel) {
    byID[tunnel.id] = tunnel
    order[tunnel.id] = nextOrder
    nextOrder += 1
    if let name = tunnel.properties.name { byName[name, default: []].append(tunnel) }
    if let hostname = tunnel.routedHostname { byHostname[hostname] = tunnel }
  }

  func remove(_ tunnel: Tunnel) {
    guard byID.removeValue(forKey: tunnel.id) != nil else { return }
    order[tunnel.id] = nil
    if let name = tunnel.properties.name {
      byName[name]?.removeAll { $0 === tunnel }
      if byName[name]?.isEmpty == true { byName[name] = nil }
    }
    if let hostname = tunnel.routedHostname { byHostname[hostname] = nil }
  }

  func tunnel(id: String) -> Tunnel? { byID[id] }

  func tunnel(idOrName text: String) -> Tunnel? { byID[text] ?? byName[text]?.last }

  /// - Parameter hostname: in lower case, without port and trailing dot
  func tunnel(hostname: String) -> Tunnel? { byHostname[hostname] }
}
