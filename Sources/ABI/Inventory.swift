// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_inventory *` points to.
final class InventoryObject: CObject {
  let inventory: Inventory
  private lazy var lentJSON = StableString(inventory.json)
  private lazy var properties = inventory.items.map { _ in StableStrings() }
  private lazy var names = inventory.items.map { $0.propertyNames.map { StableString($0) } }
  private lazy var addresses = inventory.items.map { item in
    inventory.resource == .tunnels ? item.forwardingAddress.map { StableString($0) } : nil
  }

  init(_ inventory: Inventory) { self.inventory = inventory }

  // What is returned here is lent.

  var json: UnsafePointer<CChar>? { lentJSON.pointer }

  func property(_ index: Int, _ name: String) -> UnsafePointer<CChar>? {
    guard inventory.items.indices.contains(index) else { return nil }
    return properties[index].lend(name, inventory.items[index].property(name))
  }

  func propertyName(_ index: Int, _ nth: Int) -> UnsafePointer<CChar>? {
    guard names.indices.contains(index), names[index].indices.contains(nth) else { return nil }
    return names[index][nth].pointer
  }

  func forwardingAddress(_ index: Int) -> UnsafePointer<CChar>? {
    addresses.indices.contains(index) ? addresses[index]?.pointer : nil
  }
}

extension ClientHandle {
  fileprivate static func report(
    _ result: Result<Inventory, Failure>, _ cb: rstream_inventory_cb, _ data: UnsafeMutableRawPointer?
  ) {
    switch result {
    case .success(let inventory): cb(InventoryObject(inventory).retained(), nil, data)
    case .failure(let failure): failure.lend { cb(nil, $0, data) }
    }
  }

  fileprivate static func list(
    _ client: OpaquePointer?, _ resource: InventoryFilters.Resource, _ filters: OpaquePointer?, _ limit: Int,
    _ cb: rstream_inventory_cb?, _ data: UnsafeMutableRawPointer?
  ) -> Int32 {
    attempt { () throws(Failure) in
      let client = try given(client, "client")
      guard let cb else { throw invalid("cb is NULL") }
      let filters = FiltersObject.at(filters)?.filters ?? InventoryFilters(resource)
      guard filters.resource == resource else { throw invalid("the filters are for another resource") }
      // A limit that is not an Int is none.
      let limit = limit > 0 ? limit : nil
      try client.check("client")
      try client.client.list(filters, limit: limit) { report($0, cb, data) }
    }
  }
}

@_cdecl("rstream_client_list_tunnels") @implementation
public func rstream_client_list_tunnels(
  _ client: OpaquePointer?, _ filters: OpaquePointer?, _ limit: Int, _ cb: rstream_inventory_cb?,
  _ data: UnsafeMutableRawPointer?
) -> Int32 {
  ClientHandle.list(client, .tunnels, filters, limit, cb, data)
}

@_cdecl("rstream_client_list_clients") @implementation
public func rstream_client_list_clients(
  _ client: OpaquePointer?, _ filters: OpaquePointer?, _ limit: Int, _ cb: rstream_inventory_cb?,
  _ data: UnsafeMutableRawPointer?
) -> Int32 {
  ClientHandle.list(client, .clients, filters, limit, cb, data)
}

@_cdecl("rstream_client_get_tunnel") @implementation
public func rstream_client_get_tunnel(
  _ client: OpaquePointer?, _ id: UnsafePointer<CChar>?, _ cb: rstream_inventory_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    let id = try required(id, "id")
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    try client.client.getTunnel(id) { ClientHandle.report($0, cb, data) }
  }
}

@_cdecl("rstream_client_check") @implementation
public func rstream_client_check(
  _ client: OpaquePointer?, _ what: UnsafePointer<CChar>?, _ cb: rstream_check_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    guard let what = EngineCheck(rawValue: try required(what, "what")) else { throw invalid("what is unknown") }
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    try client.client.check(what) { failure in
      if let failure { failure.lend { cb($0, data) } } else { cb(nil, data) }
    }
  }
}

@_cdecl("rstream_inventory_count") @implementation
public func rstream_inventory_count(_ inventory: OpaquePointer?) -> Int {
  InventoryObject.at(inventory)?.inventory.items.count ?? 0
}

@_cdecl("rstream_inventory_property") @implementation
public func rstream_inventory_property(
  _ inventory: OpaquePointer?, _ index: Int, _ name: UnsafePointer<CChar>?
) -> UnsafePointer<CChar>? {
  guard let object = InventoryObject.at(inventory), let name = String(from: name) else { return nil }
  return object.property(index, name)
}

@_cdecl("rstream_inventory_property_name") @implementation
public func rstream_inventory_property_name(
  _ inventory: OpaquePointer?, _ index: Int, _ nth: Int
) -> UnsafePointer<CChar>? {
  InventoryObject.at(inventory)?.propertyName(index, nth)
}

@_cdecl("rstream_inventory_forwarding_address") @implementation
public func rstream_inventory_forwarding_address(
  _ inventory: OpaquePointer?, _ index: Int
) -> UnsafePointer<CChar>? {
  InventoryObject.at(inventory)?.forwardingAddress(index)
}

@_cdecl("rstream_inventory_json") @implementation
public func rstream_inventory_json(_ inventory: OpaquePointer?) -> UnsafePointer<CChar>? {
  InventoryObject.at(inventory)?.json
}

@_cdecl("rstream_inventory_free") @implementation
public func rstream_inventory_free(_ inventory: OpaquePointer?) {
  InventoryObject.release(inventory)
}
