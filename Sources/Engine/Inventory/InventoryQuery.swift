// SPDX-License-Identifier: Apache-2.0
import RstreamJSON

/// What a list is asked for: `params={"limit":N,"filters":{...}}` in the query.
struct InventoryQuery: Equatable {
  private(set) var limit: Int?
  private(set) var filter = InventoryFilter()

  /// Everything.
  init() {}

  init(path: [UInt8], for resource: InventoryFilter.Resource) throws(InventoryFilter.Malformed) {
    switch QueryString(ofPath: path).value("params") {
    case .absent: self.init()
    case .malformed: throw InventoryFilter.Malformed(message: "params is not encoded correctly, or is there twice")
    case .value(let bytes): try self.init(json: bytes, for: resource)
    }
  }

  init(json bytes: [UInt8], for resource: InventoryFilter.Resource) throws(InventoryFilter.Malformed) {
    let params: JSONValue
    do { params = try JSONParser.parse(bytes) } catch {
      throw InventoryFilter.Malformed(message: "params: \(error.message)")
    }
    if params == .null { return }
    guard case .object(let members) = params else {
      throw InventoryFilter.Malformed(message: "params is not an object")
    }
    for member in members {
      switch (member.name, member.value) {
      case ("limit", .integer(let number)) where number >= 1:
        limit = Int(clamping: number)
      case ("limit", .null):
        break
      case ("limit", _):
        throw InventoryFilter.Malformed(message: "params.limit is not a whole number from 1")
      case ("filters", let filters):
        filter = try InventoryFilter(filters, for: resource)
      default:
        throw InventoryFilter.Malformed(message: "params: unknown name; known are limit, filters")
      }
    }
  }

  /// The records that fulfil the conditions and may be shown, no more than the limit, as a JSON array.
  func select(_ records: some Sequence<JSONValue>, shown: (JSONValue) -> JSONValue?) -> JSONValue {
    var found: [JSONValue] = []
    for record in records where filter.matches(record) {
      guard found.count < limit ?? .max else { break }
      if let record = shown(record) { found.append(record) }
    }
    return .array(found)
  }
}
