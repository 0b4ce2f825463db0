// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamNet

extension QUICSettings {
  /// What a client's settings say about QUIC.
  init(_ settings: ClientSettings) {
    self.init()
    congestionControl = CongestionControl(rawValue: settings.congestionControl) ?? .cubic
    qlogDirectory = settings.qlogDirectory
    keyLogFile = settings.keyLogFile
  }
}
