// SPDX-License-Identifier: Apache-2.0
import CRstream
import RstreamClient
import RstreamNet

/// What a `rstream_filters *` points to.
final class FiltersObject: CObject {
  var filters: InventoryFilters

  init(_ resource: InventoryFilters.Resource) { filters = InventoryFilters(resource) }
}

@_cdecl("rstream_filters_new") @implementation
public func rstream_filters_new(_ resource: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
  switch resource {
  case Int32(RSTREAM_TUNNELS.rawValue): make(FiltersObject(.tunnels), out)
  case Int32(RSTREAM_CLIENTS.rawValue): make(FiltersObject(.clients), out)
  default: invalid("resource").code
  }
}

@_cdecl("rstream_filters_set") @implementation
public func rstream_filters_set(
  _ filters: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try FiltersObject.given(filters, "filters")
    let name = try required(name, "name")
    try object.filters.set(name, try optional(value, "the value of \(name)"))
  }
}

@_cdecl("rstream_filters_require_label") @implementation
public func rstream_filters_require_label(
  _ filters: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  attempt(error) { () throws(Failure) in
    let object = try FiltersObject.given(filters, "filters")
    try object.filters.requireLabel(try required(key, "key"))
  }
}

@_cdecl("rstream_filters_free") @implementation
public func rstream_filters_free(_ filters: OpaquePointer?) {
  FiltersObject.release(filters)
}
