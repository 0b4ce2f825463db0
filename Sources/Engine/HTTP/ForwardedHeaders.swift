// SPDX-License-Identifier: Apache-2.0
import RstreamNet

extension HTTPHeaders {
  /// Says whom the request came from and how. What the client itself says about that is not passed on: a service could
  /// not tell it from ours.
  mutating func setForwarded(for peer: SocketAddress?, scheme: String, host: String) {
    remove("Forwarded")
    remove("X-Forwarded-For")
    if let address = peer?.hostText, !address.isEmpty { append("X-Forwarded-For", address) }
    set("X-Forwarded-Proto", scheme)
    set("X-Forwarded-Host", host)
  }
}
