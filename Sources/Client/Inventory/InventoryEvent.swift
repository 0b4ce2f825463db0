// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamNet

/// What an engine tells those who watch.
public struct InventoryEvent: Sendable {
  static let limit = 16 << 20

  /// "state.initial", "tunnel.created" and so on.
  public let type: String
  /// All of it on one line.
  public let json: String
  /// The tunnels and clients that the event is about.
  public let tunnels: Inventory
  public let clients: Inventory

  /// Reads an event; nothing when it is JSON but no event.
  init?(_ bytes: [UInt8]) throws(Failure) {
    let value: JSONValue
    do { value = try JSONParser.parse(bytes, limit: Self.limit) } catch {
      throw Failure(ErrorCode.eventJSON, "watch: an event of the engine is no JSON: \(error.message)")
    }
    guard let type = value["type"]?.string else { return nil }
    self.type = type
    json = String(decoding: value.encoded, as: UTF8.self)
    let object = value["object"]
    switch type {
    case "state.initial":
      tunnels = Inventory(Self.elements(object?["tunnels"]), of: .tunnels)
      clients = Inventory(Self.elements(object?["clients"]), of: .clients)
    case let type where type.hasPrefix("tunnel."):
      tunnels = Inventory([object ?? .null], of: .tunnels)
      clients = Inventory([], of: .clients)
    case let type where type.hasPrefix("client."):
      tunnels = Inventory([], of: .tunnels)
      clients = Inventory([object ?? .null], of: .clients)
    default:
      tunnels = Inventory([], of: .tunnels)
      clients = Inventory([], of: .clients)
    }
  }

  private static func elements(_ value: JSONValue?) -> [JSONValue] {
    if case .array(let elements) = value { elements } else { [] }
  }
}
