// SPDX-License-Identifier: Apache-2.0
import CRstream
import Glibc
import RstreamClient
import RstreamNet

/// What a `rstream_watch *` points to.
final class WatchHandle: EndingHandle {
  private let watch: Watch

  init(_ watch: Watch, below client: ClientHandle, _ cb: @escaping rstream_event_cb, _ data: UnsafeMutableRawPointer?) {
    self.watch = watch
    super.init(client.loop, below: client)
    watch.onEvent = { [self] event in
      let object = EventObject(event)
      withExtendedLifetime(object) { cb(pointer, object.pointer, data) }
    }
    watch.onEnd = { [self] failure in objectEnded(failure) }
  }

  override var closedCode: Int32 { ErrorCode.clientClosed }

  override func closeBelow(_ done: @escaping () -> Void) throws(Failure) { try watch.close(done) }

  override func ended() {
    watch.onEvent = nil
    watch.onEnd = nil
  }
}

/// What a `rstream_event *` points to.
final class EventObject: CObject {
  private let event: InventoryEvent
  private lazy var lentType = StableString(event.type)
  private lazy var lentJSON = StableString(event.json)
  private lazy var tunnels = InventoryObject(event.tunnels)
  private lazy var clients = InventoryObject(event.clients)

  init(_ event: InventoryEvent) { self.event = event }

  // What is returned here is lent.

  var type: UnsafePointer<CChar>? { lentType.pointer }

  var json: UnsafePointer<CChar>? { lentJSON.pointer }

  func inventory(_ resource: Int32) -> OpaquePointer? {
    switch resource {
    case Int32(RSTREAM_TUNNELS.rawValue): tunnels.pointer
    case Int32(RSTREAM_CLIENTS.rawValue): clients.pointer
    default: nil
    }
  }
}

@_cdecl("rstream_client_watch") @implementation
public func rstream_client_watch(
  _ client: OpaquePointer?, _ tunnels: OpaquePointer?, _ clients: OpaquePointer?, _ flags: Int32,
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ cb: rstream_event_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let client = try ClientHandle.given(client, "client")
    let reconnect = Int32(RSTREAM_WATCH_RECONNECT.rawValue)
    let webSocket = Int32(RSTREAM_WATCH_WEBSOCKET.rawValue)
    guard flags & ~(reconnect | webSocket) == 0 else { throw invalid("flags are unknown") }
    let tunnels = FiltersObject.at(tunnels)?.filters
    let clients = FiltersObject.at(clients)?.filters
    guard tunnels?.resource != .clients, clients?.resource != .tunnels else {
      throw invalid("the filters are for another resource")
    }
    guard let out else { throw invalid("out is NULL") }
    guard let cb else { throw invalid("cb is NULL") }
    try client.check("client")
    let watch = try client.client.watch(
      tunnels: tunnels, clients: clients, over: flags & webSocket == 0 ? .serverSentEvents : .webSocket,
      reconnects: flags & reconnect != 0)
    out.pointee = WatchHandle(watch, below: client, cb, data).pointer
  }
}

@_cdecl("rstream_watch_on_end") @implementation
public func rstream_watch_on_end(
  _ watch: OpaquePointer?, _ cb: rstream_watch_end_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  attempt { () throws(Failure) in
    let watch = try WatchHandle.given(watch, "watch")
    try watch.check("watch")
    watch.onEnd(cb, data)
  }
}

@_cdecl("rstream_watch_close") @implementation
public func rstream_watch_close(
  _ watch: OpaquePointer?, _ cb: rstream_close_cb?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
  WatchHandle.at(watch)?.close(cb, data) ?? -EINVAL
}

@_cdecl("rstream_event_type") @implementation
public func rstream_event_type(_ event: OpaquePointer?) -> UnsafePointer<CChar>? { EventObject.at(event)?.type }

@_cdecl("rstream_event_json") @implementation
public func rstream_event_json(_ event: OpaquePointer?) -> UnsafePointer<CChar>? { EventObject.at(event)?.json }

@_cdecl("rstream_event_inventory") @implementation
public func rstream_event_inventory(_ event: OpaquePointer?, _ resource: Int32) -> OpaquePointer? {
  EventObject.at(event)?.inventory(resource)
}
