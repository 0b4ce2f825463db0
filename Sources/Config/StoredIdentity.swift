// SPDX-License-Identifier: Apache-2.0

// Who a configuration file says the client is: the `auth` sections of contexts and of the environments of their control
// planes.

extension ClientSettingsLoader {
  /// Loads the stored identity. It is one section's as a whole: what the context has is not completed by what its
  /// control plane's environment has. A client certificate that is given otherwise takes the place of all of it.
  mutating func loadIdentity(
    _ context: ConfigSection?, _ environment: ConfigSection?, _ notes: inout ConfigNotes
  ) throws(ConfigError) {
    guard !hasGivenCertificate, loaded.value(.certificateFile) == nil else { return }
    for section in [context, environment] {
      guard let auth = try section?.section("auth", &notes) else { continue }
      let token = try auth.section("token", &notes)?.section("storage", &notes)
      let certificate = try auth.section("mtls", &notes)
      guard token != nil || certificate != nil else { continue }
      if let token, given.given(.noToken) != "true", given.given(.token) == nil, loaded.value(.token) == nil {
        try loadToken(token, &notes)
      }
      if let certificate { try loadCertificate(certificate, &notes) }
      return
    }
  }

  private mutating func loadToken(_ storage: ConfigSection, _ notes: inout ConfigNotes) throws(ConfigError) {
    let name = storage.has("provider") ? "provider" : "kind"
    if let kind = storage.text(name, &notes), kind.value != "inline", kind.value != "env" {
      throw ConfigError(
        .unsupportedTokenStorage,
        "\(kind.place): the token storage \(kind.value.quoted()) cannot be read here; "
          + "set RSTREAM_AUTHENTICATION_TOKEN, or store the token inline")
    }
    guard let value = storage.text("value", &notes) else {
      throw storage.failure("value", "the token is missing, or it is not text: put it in quotes")
    }
    try loaded.put(.token, value.value, .file(place: value.place))
  }

  private mutating func loadCertificate(_ mtls: ConfigSection, _ notes: inout ConfigNotes) throws(ConfigError) {
    let shorthand: [ClientSettingKey] = [.certificateFile, .keyFile, .certificate, .key]
    for key in shorthand {
      try load(key, from: [mtls], String(key.rawValue.dropFirst("auth.mtls.".count)), &notes)
    }
    guard let storage = try mtls.section("storage", &notes), !storage.names.isEmpty else { return }
    guard !shorthand.contains(where: { loaded.value($0) != nil }) else {
      throw mtls.failure("storage", "cannot be combined with certificate and key beside it; leave one of them out")
    }
    try checkExec(storage, &notes)
    for key in ClientSettingKey.all(in: "auth.mtls.storage") {
      try load(key, from: [storage], String(key.rawValue.dropFirst("auth.mtls.storage.".count)), &notes)
    }
    guard loaded.value(.storageKind) != nil else {
      throw ConfigError(.unsupportedMTLSStorage, "\(storage.place("kind")): the kind of mTLS storage is required")
    }
  }

  /// A program that signs is the one section in which a key must not be misspelled.
  private func checkExec(_ storage: ConfigSection, _ notes: inout ConfigNotes) throws(ConfigError) {
    guard storage.has("exec") else { return }
    guard let exec = try storage.section("exec", &notes) else {
      throw storage.failure("exec", "expected a section with command, args, timeout, maxConcurrency, passEnv")
    }
    let known = ClientSettingKey.all(in: "auth.mtls.storage.exec").map {
      String($0.rawValue.dropFirst("auth.mtls.storage.exec.".count))
    }
    for name in exec.names.sorted() where !known.contains(name) {
      throw exec.failure(name, "unknown mTLS exec field; known are \(known.joined(separator: ", "))")
    }
  }
}
