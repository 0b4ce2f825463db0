// SPDX-License-Identifier: Apache-2.0
import CQUIC

/// Tokens by which clients prove that they receive what is sent to their address, and the tokens of stateless resets.
/// All of it is made from one secret: nothing is remembered.
struct AddressValidator {
  enum Verdict {
    case absent
    case invalid
    /// A token of an earlier connection.
    case returning
    /// The answer to a Retry, with the connection ID that the client had chosen first.
    case retried(ngtcp2_cid)

    var original: ngtcp2_cid? {
      if case .retried(let id) = self { return id }
      return nil
    }
  }

  /// Nanoseconds that a Retry token and a token for later are good for.
  private static let retryLifetime: UInt64 = 10_000_000_000
  private static let regularLifetime: UInt64 = 3_600_000_000_000

  private var secret: [UInt8]

  /// - Parameter secret: nil for one that lives as long as this
  init(_ secret: [UInt8]?) {
    self.secret = secret ?? [UInt8](repeating: 0, count: 32)
    if secret == nil { self.secret.withUnsafeMutableBytes { QUICRandom.fill($0) } }
  }

  func writeResetToken(for id: ngtcp2_cid, _ token: UnsafeMutablePointer<UInt8>) {
    var id = id
    if ngtcp2_crypto_generate_stateless_reset_token(token, secret, secret.count, &id) != 0 {
      QUICRandom.fill(UnsafeMutableRawBufferPointer(start: token, count: Int(NGTCP2_STATELESS_RESET_TOKENLEN)))
    }
  }

  /// A token for a later connection from an address; empty when none can be made.
  func token(_ address: ngtcp2_addr) -> [UInt8] {
    var token = [UInt8](repeating: 0, count: 128)
    let count = ngtcp2_crypto_generate_regular_token(
      &token, secret, secret.count, address.addr, address.addrlen, rstream_quic_now())
    return Array(token.prefix(max(0, count)))
  }

  func retryToken(_ header: ngtcp2_pkt_hd, _ own: ngtcp2_cid, _ route: DatagramRoute) -> [UInt8] {
    var token = [UInt8](repeating: 0, count: 256)
    var (own, original) = (own, header.dcid)
    let count = ngtcp2_crypto_generate_retry_token(
      &token, secret, secret.count, header.version, route.remote, route.remoteLength, &own, &original,
      rstream_quic_now())
    return Array(token.prefix(max(0, count)))
  }

  func verify(_ header: ngtcp2_pkt_hd, _ route: DatagramRoute) -> Verdict {
    var header = header
    let sent = rstream_quic_header_token(&header)
    guard sent.len > 0, let token = sent.base else { return .absent }
    let now = rstream_quic_now()
    switch token.pointee {
    case UInt8(NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY):
      var original = ngtcp2_cid()
      var id = header.dcid
      let status = ngtcp2_crypto_verify_retry_token(
        &original, token, sent.len, secret, secret.count, header.version, route.remote, route.remoteLength, &id,
        Self.retryLifetime, now)
      return status == 0 ? .retried(original) : .invalid
    case UInt8(NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR):
      let status = ngtcp2_crypto_verify_regular_token(
        token, sent.len, secret, secret.count, route.remote, route.remoteLength, Self.regularLifetime, now)
      return status == 0 ? .returning : .absent
    default:
      return .absent
    }
  }
}
