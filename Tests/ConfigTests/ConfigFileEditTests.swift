// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import RstreamConfig

@Suite struct ConfigFileEditTests {
  private func edited(_ text: String, _ name: String = "new") throws -> String {
    String(decoding: try ConfigFileEdit(Array(text.utf8), path: "f").withDefaultContext(name), as: UTF8.self)
  }

  @Test(arguments: [
    ("", "defaults:\n  context:\n    name: new\n"),
    ("# mine\n", "# mine\ndefaults:\n  context:\n    name: new\n"),
    ("version: 1", "version: 1\ndefaults:\n  context:\n    name: new\n"),
    ("defaults:\n  context:\n    name: old # why\n", "defaults:\n  context:\n    name: new # why\n"),
    ("defaults: {context: {name: 'o'}} # é\na: 1\n", "defaults: {context: {name: new}} # é\na: 1\n"),
    ("é: ü\ndefaults:\n  context:\n    name: \"o\"\nb: 1\n", "é: ü\ndefaults:\n  context:\n    name: new\nb: 1\n"),
    ("defaults:\n  context:\n    x: 1\n", "defaults:\n  context:\n    name: new\n    x: 1\n"),
    ("defaults:\n   x: 1\n", "defaults:\n   context:\n     name: new\n   x: 1\n"),
    ("  a: 1\n  b: 2\n", "  a: 1\n  b: 2\n  defaults:\n    context:\n      name: new\n"),
  ])
  func editsInPlace(before: String, after: String) throws {
    #expect(try edited(before) == after)
  }

  @Test(arguments: [
    ("{a: 1, b: [x, {y: 'z'}]}", "a: 1\nb:\n  - x\n  -\n    y: z\ndefaults:\n  context:\n    name: new\n"),
    ("defaults: ~\n", "defaults:\n  context:\n    name: new\n"),
    ("defaults:\n  context: x\n", "defaults:\n  context:\n    name: new\n"),
    ("a: 'yes'\nb: |\n  c\n  d\n---\n", nil),
    ("a: []\ndefaults: {}\n", "a: []\ndefaults:\n  context:\n    name: new\n"),
    ("a: \"1\"\ndefaults: []\n", "a: \"1\"\ndefaults:\n  context:\n    name: new\n"),
  ])
  func writesAnewWhereThereIsNoPlace(before: String, after: String?) throws {
    guard let after else {
      #expect(throws: ConfigError.self) { try edited(before) }
      return
    }
    #expect(try edited(before) == after)
  }

  @Test(arguments: ["a b", "on", "12", "é", "a: b", "#", "\"", "-", "a\\b", "{", "*x"])
  func namesAreQuotedWhereNeeded(name: String) throws {
    var notes = ConfigNotes()
    let text = try edited("contexts: []\n", name)
    #expect(try ConfigFile(Array(text.utf8), path: "f", &notes).defaultContext?.value == name, "\(text)")
  }
}

@Suite struct ContextListTests {
  private func inDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/rstream-contexts-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    let directory = try #require(made)
    try body(directory)
    for name in ["config.yaml", "config.yaml.lock", "link.yaml"] { unlink("\(directory)/\(name)") }
    #expect(rmdir(directory) == 0, "something is left in \(directory)")
  }

  private func write(_ text: String, _ path: String) {
    guard let file = fopen(path, "w") else { return }
    fputs(text, file)
    fclose(file)
  }

  @Test func usesAContext() throws {
    try inDirectory { directory in
      let path = "\(directory)/config.yaml"
      let lookup = { (name: String) in name == "RSTREAM_CONFIG" ? path : nil }
      write("contexts:\n- {name: a, engine: e}\n- {name: b, apiUrl: 'https://x/'}\n", path)
      let settings = ClientSettings()
      #expect(try settings.contexts(lookup, home: nil).map(\.isSelected) == [false, false])
      try settings.useContext("b", lookup, home: nil)
      let contexts = try settings.contexts(lookup, home: nil)
      #expect(contexts.map(\.name) == ["a", "b"])
      #expect(contexts.map(\.isSelected) == [false, true])
      #expect(contexts.map(\.engine) == ["e", nil])
      #expect(contexts.map(\.apiURL) == [nil, "https://x"])
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(access("\(path).lock", F_OK) != 0)
      #expect(throws: ConfigError.self) { try settings.useContext("c", lookup, home: nil) }
    }
  }

  @Test func aLinkStaysALink() throws {
    try inDirectory { directory in
      let (path, link) = ("\(directory)/config.yaml", "\(directory)/link.yaml")
      write("contexts: [{name: a}]\n", path)
      #expect(symlink(path, link) == 0)
      try ClientSettings().useContext("a", { $0 == "RSTREAM_CONFIG" ? link : nil }, home: nil)
      var status = stat()
      #expect(lstat(link, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect(try SmallFile.read(path, limit: 1000).count > 30)
    }
  }

  @Test func aLockThatIsHeldIsWaitedFor() throws {
    try inDirectory { directory in
      let path = "\(directory)/config.yaml"
      var order: [String] = []
      try ConfigFileLock.holding(path) { () throws(ConfigError) in
        order.append("first")
        do throws(ConfigError) {
          try ConfigFileLock.holding(path, patience: 60) { order.append("second") }
        } catch {
          order.append(error.message.contains("another program") ? "refused" : error.message)
        }
      }
      #expect(order == ["first", "refused"])
    }
  }
}
