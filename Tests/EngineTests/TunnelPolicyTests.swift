// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import RstreamWire
import Testing

@testable import RstreamEngine

@Suite struct TunnelPolicyTests {
  private let policy = TunnelPolicy(
    namespace: HostNamespace(engineHost: "edge.example.com"), canVerifyTokens: true, tcpPorts: PortRange("4000-4010"))

  private func properties(_ change: (inout TunnelProperties) -> Void) -> TunnelProperties {
    var properties = TunnelProperties()
    change(&properties)
    return properties
  }

  private func effective(_ change: (inout TunnelProperties) -> Void) throws -> TunnelProperties {
    try policy.effective(properties(change), label: "r1")
  }

  private func refusal(_ change: (inout TunnelProperties) -> Void) -> PeerError? {
    do { _ = try policy.effective(properties(change), label: "r1") } catch { return error.error }
    return nil
  }

  @Test func nothingMeansAPublishedHTTPTunnel() throws {
    var tunnel = try effective { $0.name = "web" }
    #expect(tunnel.publish == true)
    #expect(tunnel.protocol == "http")
    #expect(tunnel.type == "bytestream")
    #expect(tunnel.httpVersion == "http/1.1")
    #expect(tunnel.hostname == "r1.t.edge.example.com")
    #expect(tunnel.port == nil && tunnel.host == nil)
    TunnelPolicy.announce(&tunnel, port: 443)
    #expect(tunnel.port == 443)
    #expect(tunnel.host == "r1.t.edge.example.com")
    TunnelPolicy.announce(&tunnel, port: 8443)
    #expect(tunnel.host == "r1.t.edge.example.com:8443")
  }

  @Test func privateTunnelsHaveNoAddress() throws {
    var tunnel = try effective {
      $0.publish = false
      $0.name = "p"
    }
    TunnelPolicy.announce(&tunnel, port: 443)
    #expect(tunnel.publish == false && tunnel.type == "bytestream")
    #expect(tunnel.hostname == nil && tunnel.port == nil && tunnel.host == nil && tunnel.protocol == nil)
    for name in ["http", "tls", "webtty"] {
      #expect(
        try effective {
          $0.publish = false
          $0.protocol = name
        }.protocol == name)
    }
  }

  @Test func whatTheEngineFillsInIsNotTaken() throws {
    let tunnel = try effective {
      $0.id = "mine"
      $0.host = "mine"
      $0.creationDate = Timestamp(seconds: 1)
      $0.name = ""
    }
    #expect(tunnel.id == nil && tunnel.host == nil && tunnel.creationDate == nil && tunnel.name == nil)
  }

  @Test func tlsTunnels() throws {
    #expect(try effective { $0.protocol = "tls" }.tlsMode == "terminated")
    #expect(try effective { $0.protocol = "tls" }.httpVersion == nil)
    let terminated = try effective {
      $0.protocol = "tls"
      $0.tlsALPNs = ["h2"]
      $0.tlsMinVersion = "tls1.3"
      $0.upstreamTLS = true
      $0.tlsCiphers = ["A"]
    }
    #expect(terminated.tlsALPNs == ["h2"])
    #expect(
      try effective {
        $0.protocol = "tls"
        $0.tlsMode = "passthrough"
        $0.upstreamTLS = false
      }.tlsMode == "passthrough")
  }

  @Test func tcpTunnels() throws {
    var tunnel = try effective {
      $0.protocol = "tcp"
      $0.port = 4010
      $0.labels = ["a": "b"]
    }
    #expect(tunnel.hostname == "edge.example.com")
    #expect(tunnel.port == 4010)
    TunnelPolicy.announce(&tunnel, port: 4010)
    #expect(tunnel.host == "edge.example.com:4010")
    #expect(try effective { $0.protocol = "tcp" }.port == nil)
    let without = TunnelPolicy(namespace: policy.namespace, canVerifyTokens: true, tcpPorts: nil)
    do {
      _ = try without.effective(properties { $0.protocol = "tcp" }, label: "x")
      Issue.record("accepted")
    } catch { #expect(error.error.code == .featureNotAvailable) }
  }

  @Test func contradictionsAreInvalid() {
    let requests: [(String, (inout TunnelProperties) -> Void)] = [
      ("port without tcp", { $0.port = 80 }),
      (
        "port of tls",
        {
          $0.protocol = "tls"
          $0.port = 443
        }
      ),
      ("unknown protocol", { $0.protocol = "ftp" }),
      (
        "unknown private protocol",
        {
          $0.publish = false
          $0.protocol = "ftp"
        }
      ),
      ("unknown type", { $0.type = "packets" }),
      ("http as datagram", { $0.type = "datagram" }),
      (
        "tls as datagram",
        {
          $0.protocol = "tls"
          $0.type = "datagram"
        }
      ),
      ("http with tls_mode", { $0.tlsMode = "terminated" }),
      ("http with alpn", { $0.tlsALPNs = ["h2"] }),
      ("http with tls_min_version", { $0.tlsMinVersion = "tls1.2" }),
      ("http with tls_ciphers", { $0.tlsCiphers = ["A"] }),
      ("unknown http_version", { $0.httpVersion = "http/9" }),
      (
        "upstream_tls and http_version",
        {
          $0.upstreamTLS = true
          $0.httpVersion = "http/1.1"
        }
      ),
      (
        "http_use_tls and http_version",
        {
          $0.httpUseTLS = true
          $0.httpVersion = "http/1.1"
        }
      ),
      (
        "upstream_tls and its alias",
        {
          $0.upstreamTLS = true
          $0.httpUseTLS = false
        }
      ),
      (
        "tls with http_version",
        {
          $0.protocol = "tls"
          $0.httpVersion = "http/1.1"
        }
      ),
      (
        "tls with token_auth",
        {
          $0.protocol = "tls"
          $0.tokenAuth = true
        }
      ),
      (
        "tls with unknown mode",
        {
          $0.protocol = "tls"
          $0.tlsMode = "off"
        }
      ),
      (
        "tls with unknown version",
        {
          $0.protocol = "tls"
          $0.tlsMinVersion = "ssl3"
        }
      ),
      (
        "passthrough with upstream_tls",
        {
          $0.protocol = "tls"
          $0.tlsMode = "passthrough"
          $0.upstreamTLS = true
        }
      ),
      (
        "passthrough with version",
        {
          $0.protocol = "tls"
          $0.tlsMode = "passthrough"
          $0.tlsMinVersion = "tls1.2"
        }
      ),
      (
        "passthrough with ciphers",
        {
          $0.protocol = "tls"
          $0.tlsMode = "passthrough"
          $0.tlsCiphers = ["A"]
        }
      ),
      (
        "private tcp",
        {
          $0.protocol = "tcp"
          $0.publish = false
        }
      ),
      (
        "private dtls",
        {
          $0.protocol = "dtls"
          $0.publish = false
        }
      ),
      (
        "private quic",
        {
          $0.protocol = "quic"
          $0.publish = false
        }
      ),
      (
        "private with hostname",
        {
          $0.publish = false
          $0.hostname = "a"
        }
      ),
      (
        "private with port",
        {
          $0.publish = false
          $0.port = 1
        }
      ),
      (
        "private with http_version",
        {
          $0.publish = false
          $0.httpVersion = "http/1.1"
        }
      ),
      (
        "private with token_auth",
        {
          $0.publish = false
          $0.tokenAuth = true
        }
      ),
      (
        "tcp as datagram",
        {
          $0.protocol = "tcp"
          $0.type = "datagram"
        }
      ),
      (
        "tcp port 0",
        {
          $0.protocol = "tcp"
          $0.port = 0
        }
      ),
      (
        "tcp port beyond",
        {
          $0.protocol = "tcp"
          $0.port = 65_536
        }
      ),
      (
        "tcp port out of range",
        {
          $0.protocol = "tcp"
          $0.port = 4011
        }
      ),
      (
        "tcp with hostname",
        {
          $0.protocol = "tcp"
          $0.hostname = "a"
        }
      ),
      (
        "tcp with token_auth",
        {
          $0.protocol = "tcp"
          $0.tokenAuth = false
        }
      ),
      (
        "tcp with rstream_auth",
        {
          $0.protocol = "tcp"
          $0.rstreamAuth = false
        }
      ),
      (
        "tcp with challenge_mode",
        {
          $0.protocol = "tcp"
          $0.challengeMode = false
        }
      ),
      (
        "tcp with mtls_auth",
        {
          $0.protocol = "tcp"
          $0.mtlsAuth = false
        }
      ),
      (
        "tcp with upstream_tls",
        {
          $0.protocol = "tcp"
          $0.upstreamTLS = false
        }
      ),
      (
        "tcp with http_use_tls",
        {
          $0.protocol = "tcp"
          $0.httpUseTLS = false
        }
      ),
      (
        "tcp with datagrams",
        {
          $0.protocol = "tcp"
          $0.datagramGuaranteedDelivery = false
        }
      ),
      (
        "tcp with http_version",
        {
          $0.protocol = "tcp"
          $0.httpVersion = "http/1.1"
        }
      ),
      (
        "tcp with tls_mode",
        {
          $0.protocol = "tcp"
          $0.tlsMode = "terminated"
        }
      ),
      ("trusted_ips", { $0.trustedIPs = ["lan"] }),
      ("long name", { $0.name = String(repeating: "a", count: 257) }),
      ("name with control character", { $0.name = "a\nb" }),
      ("too many labels", { for number in 0...64 { $0.labels["l\(number)"] = "" } }),
      ("label without name", { $0.labels = ["": "a"] }),
      ("long label", { $0.labels = ["a": String(repeating: "a", count: 1025)] }),
      ("too long a list", { $0.trustedIPs = Array(repeating: "::1", count: 129) }),
      (
        "long element",
        {
          $0.protocol = "tls"
          $0.tlsALPNs = [String(repeating: "a", count: 256)]
        }
      ),
      (
        "empty element",
        {
          $0.protocol = "tls"
          $0.tlsALPNs = [""]
        }
      ),
    ]
    for (what, change) in requests {
      let refusal = refusal(change)
      #expect(refusal?.code == .invalidRequest, "\(what)")
      #expect(refusal?.message?.isEmpty == false)
    }
  }

  @Test func quicTunnels() throws {
    var offering = policy
    offering.hasQUIC = true
    var tunnel = try offering.effective(
      properties {
        $0.protocol = "quic"
        $0.tlsALPNs = ["a", "b"]
        $0.upstreamTLS = true
      }, label: "r1")
    #expect(tunnel.type == "datagram" && tunnel.tlsALPNs == ["a", "b"])
    TunnelPolicy.announce(&tunnel, port: 4433)
    #expect(tunnel.port == 4433 && tunnel.host == "r1.t.edge.example.com:4433")
    let changes: [(inout TunnelProperties) -> Void] = [
      { $0.type = "bytestream" }, { $0.upstreamTLS = false }, { $0.tlsMode = "terminated" }, { $0.httpVersion = "h3" },
      { $0.port = 443 }, { $0.tokenAuth = true },
    ]
    for change in changes {
      #expect(throws: Refusal.self) {
        try offering.effective(
          properties {
            $0.protocol = "quic"
            change(&$0)
          }, label: "r1")
      }
    }
  }

  @Test func whatIsNotOfferedSaysSo() {
    let requests: [(String, (inout TunnelProperties) -> Void)] = [
      ("dtls", { $0.protocol = "dtls" }), ("quic", { $0.protocol = "quic" }), ("webtty", { $0.protocol = "webtty" }),
      ("h2c", { $0.httpVersion = "h2c" }), ("h2", { $0.httpVersion = "h2" }), ("h3", { $0.httpVersion = "h3" }),
      (
        "h3 datagram",
        {
          $0.httpVersion = "h3"
          $0.type = "datagram"
        }
      ), ("rstream_auth", { $0.rstreamAuth = true }),
      ("challenge_mode", { $0.challengeMode = true }), ("mtls_auth", { $0.mtlsAuth = true }),
      (
        "mtls_auth tls",
        {
          $0.protocol = "tls"
          $0.mtlsAuth = true
        }
      ), ("mtls_cacert_pem", { $0.mtlsCACertPEM = "PEM" }),
      ("geoip", { $0.geoip = ["FR"] }),
    ]
    for (what, change) in requests {
      let refusal = refusal(change)
      #expect(refusal?.code == .featureNotAvailable, "\(what)")
      #expect(refusal?.message?.contains("not available") == true, "\(what)")
    }
  }

  @Test func tokenAuthNeedsTokens() throws {
    #expect(try effective { $0.tokenAuth = true }.tokenAuth == true)
    let open = TunnelPolicy(namespace: policy.namespace, canVerifyTokens: false, tcpPorts: nil)
    do {
      _ = try open.effective(properties { $0.tokenAuth = true }, label: "x")
      Issue.record("accepted")
    } catch { #expect(error.error.code == .featureNotAvailable) }
  }

  @Test func valuesAreNormalized() throws {
    let tunnel = try effective {
      $0.trustedIPs = ["192.0.2.9/24", "192.0.2.0/24", "::ffff:10.0.0.1"]
      $0.httpUseTLS = true
    }
    #expect(tunnel.trustedIPs == ["192.0.2.0/24", "10.0.0.1"])
    #expect(tunnel.upstreamTLS == true)
    #expect(tunnel.httpVersion == nil)
  }

  @Test(arguments: [
    ("web", "web.t.edge.example.com"), ("WEB", "web.t.edge.example.com"),
    ("web.t.edge.example.com", "web.t.edge.example.com"),
    ("Web.T.Edge.example.com.", "web.t.edge.example.com"), (" web ", "web.t.edge.example.com"),
    ("r12345678-edge.t.example.com", "r12345678-edge.t.example.com"), ("", "r1.t.edge.example.com"),
  ])
  func hostnamesAreCompleted(requested: String, expected: String) throws {
    #expect(try effective { $0.hostname = requested }.hostname == expected)
    #expect(
      try effective {
        $0.protocol = "tls"
        $0.hostname = requested
      }.hostname == expected)
  }

  @Test(arguments: [
    "web.example.com", "a.b.t.edge.example.com", ".t.edge.example.com", "t.edge.example.com", "edge.example.com",
    "-edge.t.example.com", "web.t.example.com", "a.b-edge.t.example.com", "web-other.t.example.com", "web..", "-web",
    "w_b",
    "é", "*", "web.t.edge.example.com.evil.org", "webt.edge.example.com",
  ])
  func otherHostnamesAreRefused(requested: String) {
    #expect(refusal { $0.hostname = requested }?.code == .invalidRequest)
  }

  @Test func enginesWithoutADomainHaveOneNamespace() {
    let namespace = HostNamespace(engineHost: "localhost")
    #expect(namespace.contains("a.t.localhost"))
    #expect(!namespace.contains("a-localhost.t."))
    #expect(namespace.certificateNames == ["localhost", "*.t.localhost"])
    let project = HostNamespace(engineHost: "project.localhost")
    #expect(project.contains("r1-project.t.localhost") && project.contains("x.t.project.localhost"))
    #expect(project.certificateNames == ["project.localhost", "*.t.project.localhost", "*.t.localhost"])
    let long = String(repeating: "a", count: 60)
    #expect(!project.contains("\(long)-project.t.localhost"))
    #expect(HostNamespace(engineHost: "\(long).\(long).\(long).\(long)").fullName(of: "abcdefghij") == nil)
  }
}
