// SPDX-License-Identifier: Apache-2.0
import RstreamNet

extension HTTPHeaders {
  /// Says whom the request came from and how. What the client itself says about that is not passed on: a service could
  /// not tell it from ours.
  mutating func setForwarded(for address: String, scheme: String, host: String) {
    remove("Forwarded")
    // To many services "_" and "-" in a name are the same.
    for prefix in ["X-Forwarded-", "X-Forwarded_", "X_Forwarded-", "X_Forwarded_"] {
      for what in ["For", "Proto", "Host"] { remove(prefix + what) }
    }
    if !address.isEmpty { append("X-Forwarded-For", address) }
    append("X-Forwarded-Proto", scheme)
    append("X-Forwarded-Host", host)
  }
}
