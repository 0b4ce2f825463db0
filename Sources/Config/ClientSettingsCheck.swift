// SPDX-License-Identifier: Apache-2.0

// What settings cannot work together, and what this build cannot do.

extension ClientSettings {
  /// Refuses settings that cannot work together. `now` is in seconds since 1970.
  public func validate(now: Int64) throws(ConfigError) {
    try checkStoredIdentity()
    let certificate = try clientCertificate()
    if let token {
      guard certificate == nil else {
        throw ConfigError(
          .authConflict,
          "\(named(.token)) and \(certificateSetting): token and mTLS authentication cannot be used together; "
            + "unset one of them")
      }
      if let expiry = TokenExpiry.of(token), expiry <= now {
        throw ConfigError(
          .tokenExpired,
          "\(named(.token)): the token has expired; log in again, or set auth.token or RSTREAM_AUTHENTICATION_TOKEN "
            + "to a new one")
      }
    } else if isAuthenticationRequired, certificate == nil {
      throw ConfigError(
        .authRequired,
        "auth.required is true, and there is neither a token nor a client certificate; "
          + "set RSTREAM_AUTHENTICATION_TOKEN or log in")
    }
    try checkTransport()
    _ = try network { _ in nil }
    try checkTarget()
  }

  /// A stored identity is for the engine of its context: it is not shown to one that is given otherwise.
  func checkStoredIdentity() throws(ConfigError) {
    guard given.given(.engine) != nil || loaded.isVariable(.engine), let engine else { return }
    guard engine != loaded.contextEngine else { return }
    let advice = "; unset \(named(.engine)), choose that engine's context, or give a token or certificate for it"
    if given.given(.token) == nil, !flag(.noToken), loaded.isStored(.token) {
      throw ConfigError(
        .storedTokenEngineOverride, "\(named(.token)): a stored token is not sent to \(engine.text)\(advice)")
    }
    if loaded.storesCertificate {
      throw ConfigError(
        .storedMTLSEngineOverride,
        "\(certificateSetting): a stored client certificate is not shown to \(engine.text)\(advice)")
    }
  }

  /// Where the engine's address comes from.
  private func checkTarget() throws(ConfigError) {
    let isExplicit = given.given(.engine) != nil || loaded.isVariable(.engine)
    if let region {
      guard !isExplicit else {
        throw ConfigError(
          .regionEngineConflict,
          "\(named(.region)) and \(named(.engine)): region selection cannot be combined with an explicit engine "
            + "override; unset one of them")
      }
      guard projectEndpoint != nil else {
        throw ConfigError(
          .projectEndpointRequired,
          "\(named(.region)): a managed project endpoint is required for region selection (\(region)); "
            + "set projectEndpoint, or choose a context of a managed project")
      }
    }
    guard engine != nil || projectEndpoint != nil else {
      throw ConfigError(
        .engineRequired,
        "no engine address is configured; set engine or RSTREAM_ENGINE, or choose a context with RSTREAM_CONTEXT")
    }
  }

  // MARK: Transport

  private func checkTransport() throws(ConfigError) {
    guard transportMode == .quic else { return }
    switch try clientCertificate() {
    case .exec, .pkcs11:
      throw ConfigError(
        .unsupportedTransport,
        "\(named(.mode)): QUIC cannot use \(certificateSetting), a client certificate whose key is elsewhere; "
          + "set it to tls or auto")
    default: break
    }
  }
}
