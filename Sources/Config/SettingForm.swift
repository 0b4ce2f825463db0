// SPDX-License-Identifier: Apache-2.0

/// What a setting accepts.
enum SettingForm {
  case path
  case text
  /// Never quoted in a message; printable ASCII without spaces.
  case token
  case tokenList
  /// Never quoted in a message.
  case secret
  case flag
  case number(ClosedRange<Int>)
  /// A number of milliseconds; out of range it has its own error code.
  case timeout(ClosedRange<Int>)
  case choice([String])
  case hostName
  /// A host name or an address.
  case hostOrAddress
  case engineAddress
  case transportMode
  case listenAddress
  case portRange
  case apiURL
  case mtlsAPIURL
  case region
  /// A JSON object of strings: headers for the control plane.
  case headers
  /// The same for a proxy.
  case proxyHeaders
  /// A JSON list of strings.
  case list
  case hexadecimal
  case duration
  case address
  /// host[:port] of a name server.
  case resolverAddress

  var isList: Bool {
    if case .tokenList = self { return true }
    return false
  }

  /// Refuses a value that the form does not allow.
  func check(_ value: String) throws(ConfigError) {
    if value.trimmed().isEmpty { throw refusal("the value is empty") }
    switch self {
    case .path, .text, .secret:
      guard !value.utf8.contains(0) else { throw refusal("the value contains a NUL byte") }
    case .token:
      guard isToken(value) else { throw refusal("the token contains white space or is too long") }
    case .tokenList:
      let tokens = value.listElements()
      guard !tokens.isEmpty, tokens.allSatisfy(isToken) else {
        throw refusal("expected tokens separated by commas, without white space inside")
      }
    case .flag:
      guard value == "true" || value == "false" else { throw refusal("\(value.quoted()) is neither true nor false") }
    case .number(let range):
      guard let number = value.wholeNumber(), range.contains(number) else {
        throw refusal("\(value.quoted()) is not a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .timeout(let range):
      guard let number = value.wholeNumber(), range.contains(number) else {
        throw ConfigError(
          .invalidTimeout,
          "\(value.quoted()) is not a number of milliseconds from \(range.lowerBound) to \(range.upperBound)")
      }
    case .choice(let choices):
      guard choices.contains(value) else {
        throw refusal("\(value.quoted()) is not one of \(choices.joined(separator: ", "))")
      }
    case .hostName:
      guard HostName.normalized(value) != nil, IPLiteral(value) == nil else {
        throw refusal("\(value.quoted()) is not a host name")
      }
    case .hostOrAddress:
      guard HostName.normalized(value) != nil || IPLiteral(value) != nil else {
        throw refusal("\(value.quoted()) is neither a host name nor an address")
      }
    case .engineAddress:
      _ = try EngineAddress(value)
    case .transportMode:
      _ = try TransportMode(setting: value)
    case .listenAddress:
      guard ListenAddress(value) != nil else {
        throw refusal("\(value.quoted()) is not an address to listen on; expected host:port, [IPv6]:port or :port")
      }
    case .portRange:
      guard PortRange(value) != nil else {
        throw refusal("\(value.quoted()) is not a range of ports; expected first-last, from 1 to 65535")
      }
    default:
      try checkText(value)
    }
  }

  private func checkText(_ value: String) throws(ConfigError) {
    switch self {
    case .apiURL:
      _ = try APIURL(value)
    case .mtlsAPIURL:
      _ = try MTLSAPIURL(value.trimmed())
    case .region:
      _ = try Region.normalized(value)
    case .headers:
      _ = try HeaderList(json: value, .controlPlane)
    case .proxyHeaders:
      _ = try HeaderList(json: value, .proxy)
    case .list:
      var reader = JSONReader(Array(value.utf8))
      guard reader.list() != nil else { throw refusal("expected a JSON list of strings, as in [\"a\",\"b\"]") }
    case .hexadecimal:
      guard HexadecimalText.bytes(value) != nil else { throw refusal("expected bytes as hexadecimal digits") }
    case .duration:
      guard DurationText.milliseconds(value) != nil else {
        throw refusal("\(value.quoted()) is not a length of time, as in 500ms, 5s or 1m")
      }
    case .address:
      guard IPLiteral(value.trimmed()) != nil else { throw refusal("\(value.quoted()) is not an IP address") }
    case .resolverAddress:
      guard ResolverAddress(value) != nil else {
        throw refusal("\(value.quoted()) is not a name server; expected host, host:port or [IPv6]:port")
      }
    default:
      break
    }
  }

  /// Tokens travel in HTTP headers and in frames of 65,535 bytes.
  private func isToken(_ text: String) -> Bool {
    text.utf8.count <= 32_768 && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  private func refusal(_ why: String) -> ConfigError { ConfigError(.invalidConfig, why) }
}
