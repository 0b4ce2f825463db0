// SPDX-License-Identifier: Apache-2.0
import CQUIC
import Glibc

extension QUICSettings {
  /// The part that concerns this side only.
  func ngtcp2(_ path: any DatagramPath) -> ngtcp2_settings {
    var settings = ngtcp2_settings()
    ngtcp2_settings_default_versioned(NGTCP2_SETTINGS_VERSION, &settings)
    settings.initial_ts = rstream_quic_now()
    settings.cc_algo = congestionControl == .bbr ? rstream_quic_bbr() : NGTCP2_CC_ALGO_CUBIC
    settings.max_tx_udp_payload_size = max(QUICSettings.smallestMaximum, min(largestPacket, path.largestPacket))
    if !discoversPacketSize {
      settings.no_tx_udp_payload_size_shaping = 1
      settings.no_pmtud = 1
    }
    settings.handshake_timeout = handshakeTimeout &* 1_000_000
    settings.max_window = largestConnectionWindow
    settings.max_stream_window = largestStreamWindow
    return settings
  }

  /// The part that the peer is told.
  func parameters(isServer: Bool) -> ngtcp2_transport_params {
    var parameters = ngtcp2_transport_params()
    ngtcp2_transport_params_default_versioned(NGTCP2_TRANSPORT_PARAMS_VERSION, &parameters)
    fill(&parameters, isServer: isServer)
    return parameters
  }

  func fill(_ parameters: inout ngtcp2_transport_params, isServer: Bool) {
    parameters.initial_max_stream_data_bidi_local = streamWindow
    parameters.initial_max_stream_data_bidi_remote = streamWindow
    parameters.initial_max_stream_data_uni = streamWindow
    parameters.initial_max_data = connectionWindow
    parameters.initial_max_streams_bidi = isServer || allowsServerStreams ? streams : 0
    parameters.initial_max_streams_uni = unidirectionalStreams
    parameters.max_idle_timeout = idleTimeout &* 1_000_000
    parameters.max_datagram_frame_size = 65_535
    parameters.max_udp_payload_size = largestIncomingPacket
    parameters.active_connection_id_limit = 7
    parameters.grease_quic_bit = 1
  }
}

extension ngtcp2_path {
  init(_ route: DatagramRoute) {
    self.init(
      local: ngtcp2_addr(addr: route.local, addrlen: route.localLength),
      remote: ngtcp2_addr(addr: route.remote, addrlen: route.remoteLength), user_data: nil)
  }
}

extension DatagramRoute {
  /// The route of a path that ngtcp2 has filled in.
  init(_ path: ngtcp2_path) {
    self.init(
      local: path.local.addr, path.local.addrlen, remote: path.remote.addr, path.remote.addrlen)
  }
}

/// Random bytes for connection IDs, tokens and challenges.
enum QUICRandom {
  static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
    guard bytes.count > 0, gnutls_rnd(GNUTLS_RND_RANDOM, bytes.baseAddress, bytes.count) != 0 else { return }
    for index in bytes.indices { bytes[index] = .random(in: 0...255) }
  }
}

/// What happens on a connection, in the format of the qlog tools; only where the settings ask for it.
final class QLogFile {
  private let descriptor: Int32

  init?(directory: String, _ id: ngtcp2_cid, _ side: String) {
    let digits = Array("0123456789abcdef")
    let name = withUnsafeBytes(of: id.data) { bytes in
      bytes.prefix(id.datalen).reduce(into: "") { text, byte in
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
      }
    }
    let path = "\(directory)/\(name)_\(side).sqlog"
    descriptor = rstream_quic_open_append(path)
    guard descriptor >= 0 else {
      Log.warn("quic", "cannot write \(path): \(String(cString: strerror(-descriptor)))")
      return nil
    }
  }

  deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

  /// Has ngtcp2 write about a connection whose user data is a `QUICConnection`.
  static func enable(_ settings: inout ngtcp2_settings, _ original: ngtcp2_cid) {
    var original = original
    let write: ngtcp2_qlog_write = { user, _, bytes, count in
      guard let user else { return }
      Unmanaged<QUICConnection>.fromOpaque(user).takeUnretainedValue().writeQLog(
        UnsafeRawBufferPointer(start: bytes, count: count))
    }
    rstream_quic_settings_qlog(&settings, write, &original)
  }

  func write(_ bytes: UnsafeRawBufferPointer) { _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
}
