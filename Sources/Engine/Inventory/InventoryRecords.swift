// SPDX-License-Identifier: Apache-2.0
import RstreamJSON
import RstreamWire

/// A live tunnel as the engine's API shows it.
struct TunnelRecord {
  var properties: TunnelProperties
  var clientID: String
  var userID: String?
  var place = RecordPlace()

  /// Absent values are left out.
  var json: JSONValue {
    var object = JSONObjectBuilder()
    object.add("id", properties.id)
    object.add("creation_date", properties.creationDate?.rfc3339)
    object.add("name", properties.name)
    object.add("type", properties.type)
    object.add("publish", properties.publish)
    object.add("protocol", properties.protocol)
    object.add("labels", properties.labels)
    object.add("geo_ip", properties.geoip)
    object.add("trusted_ips", properties.trustedIPs)
    object.add("host", properties.host)
    object.add("hostname", properties.hostname)
    object.add("port", properties.port)
    object.add("tls_mode", properties.tlsMode)
    object.add("tls_alpns", properties.tlsALPNs)
    object.add("tls_min_version", properties.tlsMinVersion)
    object.add("tls_ciphers", properties.tlsCiphers)
    object.add("mtls_auth", properties.mtlsAuth)
    object.add("http_version", properties.httpVersion)
    object.add("http_use_tls", properties.httpUseTLS)
    object.add("upstream_tls", properties.upstreamTLS)
    object.add("token_auth", properties.tokenAuth)
    object.add("rstream_auth", properties.rstreamAuth)
    object.add("challenge_mode", properties.challengeMode)
    object.add("datagram_guaranteed_delivery", properties.datagramGuaranteedDelivery)
    object.add("allow_cross_region_routing", properties.allowCrossRegionRouting)
    object.add("client_id", clientID)
    object.add("user_id", userID)
    object.add("workspace_id", place.workspaceID)
    object.add("project_id", place.projectID)
    object.add("status", "online")
    return object.value
  }
}

/// Where a record belongs, as far as the engine is told.
struct RecordPlace {
  var workspaceID: String?
  var projectID: String?

  var members: [JSONMember] {
    [("workspace_id", workspaceID), ("project_id", projectID)].compactMap { name, id in
      id.map { JSONMember(name, .string($0)) }
    }
  }
}

/// A connected client as the engine's API shows it.
struct ClientRecord {
  var id: String
  var userID: String?
  var details: ClientDetails
  var place = RecordPlace()

  var json: JSONValue {
    var object = JSONObjectBuilder()
    object.add("id", id)
    object.add("status", "online")
    object.add("user_id", userID)
    object.add("workspace_id", place.workspaceID)
    object.add("project_id", place.projectID)
    object.add("agent", details.agent)
    object.add("channel", details.channel)
    object.add("version", details.version)
    object.add("os", details.os)
    object.add("arch", details.arch)
    object.add("protocol_version", details.protocolVersion)
    return object.value
  }
}

extension Engine {
  var recordPlace: RecordPlace {
    RecordPlace(workspaceID: settings.workspaceID, projectID: settings.projectID)
  }
}

extension Tunnel {
  var record: JSONValue {
    TunnelRecord(
      properties: properties, clientID: owner.id, userID: owner.grant.userID, place: owner.engine.recordPlace
    ).json
  }
}

extension ControlSession {
  var record: JSONValue {
    ClientRecord(id: id, userID: grant.userID, details: details, place: engine.recordPlace).json
  }
}

/// An object of what is there.
private struct JSONObjectBuilder {
  private var members: [JSONMember] = []

  var value: JSONValue { .object(members) }

  mutating func add(_ name: String, _ text: String?) {
    if let text { members.append(JSONMember(name, .string(text))) }
  }

  mutating func add(_ name: String, _ flag: Bool?) {
    if let flag { members.append(JSONMember(name, .bool(flag))) }
  }

  mutating func add(_ name: String, _ number: UInt32?) {
    if let number { members.append(JSONMember(name, .integer(Int64(number)))) }
  }

  mutating func add(_ name: String, _ texts: [String]) {
    if !texts.isEmpty { members.append(JSONMember(name, .array(texts.map(JSONValue.string)))) }
  }

  mutating func add(_ name: String, _ labels: Labels) {
    if labels.isEmpty { return }
    members.append(JSONMember(name, .object(labels.map { JSONMember($0.name, .string($0.value)) })))
  }
}
