// SPDX-License-Identifier: Apache-2.0
import RstreamConfig
import Testing

@testable import RstreamEngine

@Suite struct JSONWebTokenTests {
  private func failure(_ token: String, now: Int64 = 1000) -> AuthenticationFailure? {
    do { _ = try JSONWebToken.verify(token, secret: Array(TokenMaker.secret.utf8), now: now) } catch { return error }
    return nil
  }

  @Test func theExampleOfTheRFCIsAccepted() throws {
    // RFC 7515, A.1.
    let token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
      + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    let key = try #require(
      Base64URL.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow".utf8))
    let claims = try JSONWebToken.verify(token, secret: key, now: 1_300_819_379)
    #expect(claims["iss"] == .string("joe"))
    #expect(throws: AuthenticationFailure.expired) {
      try JSONWebToken.verify(token, secret: key, now: 1_300_819_380)
    }
  }

  @Test func timesAreChecked() {
    #expect(failure(TokenMaker.token("{}")) == nil)
    #expect(failure(TokenMaker.token(#"{"exp":1001}"#)) == nil)
    #expect(failure(TokenMaker.token(#"{"exp":1000}"#)) == .expired)
    #expect(failure(TokenMaker.token(#"{"exp":1000.5}"#)) == .expired)
    #expect(failure(TokenMaker.token(#"{"exp":-1}"#)) == .expired)
    #expect(failure(TokenMaker.token(#"{"nbf":1060,"iat":1060}"#)) == nil)
    #expect(failure(TokenMaker.token(#"{"nbf":1061}"#)) == .notYetValid)
    #expect(failure(TokenMaker.token(#"{"iat":1061}"#)) == .notYetValid)
    #expect(failure(TokenMaker.token(#"{"exp":"2000"}"#)) == .malformed("exp is not a time"))
    #expect(failure(TokenMaker.token(#"{"exp":1e300}"#)) == .malformed("exp is not a time"))
    #expect(failure(TokenMaker.token(#"{"nbf":null}"#)) == .malformed("nbf is not a time"))
    #expect(failure(TokenMaker.token(#"{"nbf":9223372036854775807}"#), now: .max) == nil)
  }

  @Test(arguments: ["none", "hs256", "HS384", "RS256", ""])
  func onlyHS256IsAccepted(algorithm: String) {
    #expect(failure(TokenMaker.token("{}", header: #"{"alg":"\#(algorithm)"}"#)) == .wrongAlgorithm)
  }

  @Test func headersAreRead() {
    #expect(failure(TokenMaker.token("{}", header: "{}")) == .wrongAlgorithm)
    #expect(failure(TokenMaker.token("{}", header: #"{"alg":["HS256"]}"#)) == .wrongAlgorithm)
    #expect(
      failure(TokenMaker.token("{}", header: #"{"alg":"none","alg":"HS256"}"#))?.message.contains("header") == true)
    #expect(
      failure(TokenMaker.token("{}", header: #"{"alg":"HS256","crit":["b64"]}"#))?.message.contains("extensions")
        == true)
    #expect(failure(TokenMaker.token("[]"))?.message.contains("claims") == true)
    #expect(failure(TokenMaker.token("{"))?.message.contains("claims") == true)
  }

  @Test func everyChangedByteIsNoticed() throws {
    let token = TokenMaker.token(#"{"sub":"a"}"#)
    #expect(failure(token) == nil)
    for index in token.indices {
      var changed = token
      changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
      #expect(failure(changed) != nil, "\(changed)")
    }
    #expect(failure(TokenMaker.token("{}", secret: "another secret of 32 bytes......")) == .wrongSignature)
  }

  @Test(arguments: ["", "a", "a.b", "a.b.c.d", "..", "é.é.é"])
  func otherTextIsNoToken(token: String) {
    #expect(failure(token) != nil)
  }

  @Test func otherSpellingsOfTheSameTokenAreRefused() {
    let token = TokenMaker.token("{}")
    #expect(failure(token + "=") != nil)
    #expect(failure(token + ".") != nil)
    #expect(failure(" " + token) != nil)
    #expect(failure(token + "\n") != nil)
    #expect(failure(String(repeating: "a", count: 40_000)) == .malformed("it is too long"))
  }
}

@Suite struct AuthenticatorTests {
  private func authenticator(_ values: KeyValuePairs<String, String>) throws -> Authenticator {
    var settings = EngineSettings()
    for (name, value) in values { try settings.set(name, value) }
    return Authenticator(settings)
  }

  private func jwtAuthenticator() throws -> Authenticator {
    try authenticator(["auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret])
  }

  private func failure(_ authenticator: Authenticator, _ token: String?) -> AuthenticationFailure? {
    do { _ = try authenticator.authenticate(token, now: 1000) } catch { return error }
    return nil
  }

  @Test func openEnginesTakeEverybody() throws {
    let open = try authenticator(["auth.open": "true"])
    #expect(failure(open, nil) == nil)
    #expect(failure(open, "") == nil)
    #expect(failure(open, "whatever") == nil)
    #expect(!open.canVerifyTokens)
    #expect(try open.authenticate(nil, now: 0) == .unrestricted)
  }

  @Test func openEnginesStillRefuseWrongTokens() throws {
    let both = try authenticator(["auth.open": "true", "auth.tokens": "right"])
    #expect(failure(both, nil) == nil)
    #expect(failure(both, "right") == nil)
    #expect(failure(both, "wrong") == .unknown)
  }

  @Test func staticTokensGrantEverything() throws {
    let authenticator = try authenticator(["auth.tokens": "one, two"])
    #expect(failure(authenticator, nil) == .missing)
    #expect(failure(authenticator, "one") == nil)
    #expect(try authenticator.authenticate("two", now: 0) == .unrestricted)
    for wrong in ["on", "onee", "one, two", "ONE", "three"] { #expect(failure(authenticator, wrong) == .unknown) }
    #expect(authenticator.canVerifyTokens)
  }

  @Test func noTokenMeansNobody() throws {
    let closed = try authenticator([:])
    #expect(failure(closed, nil) == .missing)
    #expect(failure(closed, "x") == .unknown)
  }

  @Test func jwtsAndStaticTokensWorkSideBySide() throws {
    let both = try authenticator([
      "auth.tokens": "one", "auth.jwt.enabled": "true", "auth.jwt.token_jwt_secret": TokenMaker.secret,
    ])
    #expect(failure(both, "one") == nil)
    #expect(failure(both, "two") == .unknown)
    #expect(failure(both, TokenMaker.token(#"{"type":"auth"}"#)) == nil)
    #expect(failure(both, TokenMaker.token(#"{"type":"auth","exp":1}"#)) == .expired)
  }

  @Test func permissionsAreThoseOfTheToken() throws {
    let authenticator = try jwtAuthenticator()
    func permits(_ claims: String) throws -> [Permission] {
      let grant = try authenticator.authenticate(TokenMaker.token(claims), now: 0)
      return Permission.allCases.filter(grant.permits)
    }
    #expect(try permits(#"{"type":"auth","permissions":null}"#) == Permission.allCases)
    #expect(try permits(#"{"type":"app"}"#) == Permission.allCases)
    #expect(try permits(#"{"type":"auth","permissions":[]}"#) == [])
    #expect(try permits(#"{"permissions":["tunnels.streams.create-delete","other.thing"]}"#) == [.createStreams])
    #expect(
      try permits(#"{"type":"pat","permissions":["tunnels.tunnels.create-delete","tunnels.resources.read-only"]}"#)
        == [.createTunnels, .readResources])
    #expect(try authenticator.authenticate(TokenMaker.token(#"{"type":"auth","userId":"u"}"#), now: 0).userID == "u")
  }

  @Test(arguments: [
    "{}", #"{"type":"pat"}"#, #"{"type":"other","permissions":[]}"#, #"{"type":5,"permissions":[]}"#,
    #"{"permissions":"all"}"#, #"{"permissions":[1]}"#, #"{"permissions":null}"#,
    #"{"type":"auth","resources":{"tunnels":{"OR":[]}}}"#, #"{"type":"auth","resources":[]}"#,
    #"{"type":"app","permissions":[],"tunnelsGrants":{"OR":[]}}"#, #"{"type":"auth","resources":"x"}"#,
    #"{"type":"auth","resources":{"streams":{"projects":["p"]}}}"#, #"{"type":"auth","iat":"x"}"#,
  ])
  func tokensThatSayTooLittleOrTooMuchAreRefused(claims: String) throws {
    #expect(failure(try jwtAuthenticator(), TokenMaker.token(claims)) != nil)
  }

  @Test(arguments: [
    #"{"type":"auth","resources":null}"#, #"{"type":"auth","resources":{}}"#,
    #"{"type":"auth","resources":{"tunnels":null}}"#, #"{"type":"auth","resources":{"tunnels":{},"other":null}}"#,
  ])
  func emptyRestrictionsAreNone(claims: String) throws {
    #expect(failure(try jwtAuthenticator(), TokenMaker.token(claims)) == nil)
  }

  @Test func failuresSayNothingOfTheToken() throws {
    let token = TokenMaker.token(#"{"type":"auth","resources":{"tunnels":{"sensitive":["sensitive"]}}}"#)
    let failure = try #require(failure(try jwtAuthenticator(), token))
    #expect(failure.message.contains("resources"))
    #expect(!failure.message.contains("sensitive") && !failure.message.contains(token))
  }
}
