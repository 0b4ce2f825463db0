// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let root = Context.packageDirectory

// Sanitizer builds cannot resolve the sanitizer's own symbols under -z defs.
let sanitizing = Context.environment["RSTREAM_SANITIZE"] != nil

/// Every Swift module: warnings are errors; exclusivity checks are compiled out of release builds because they cost a
/// fifth of the data path and every object is used on one thread only.
let common: [SwiftSetting] = [
  .unsafeFlags(["-warnings-as-errors"]),
  // Regular expressions are not used, and would be a tenth of the library; a Task would start threads.
  .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"]),
  .unsafeFlags(["-Xfrontend", "-disable-implicit-concurrency-module-import"]),
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]
let strict = common + [.strictMemorySafety()]

/// What makes librstream.so a C library: only versioned rstream_* symbols, a stable SONAME, and never unloaded, because
/// the Swift runtime inside does not survive that.
let sharedLibrary: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-use-ld=lld",
      "-Xlinker", "--version-script=\(root)/rstream.map",
      "-Xlinker", "-soname=librstream.so.1",
      "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
      "-Xlinker", "-z", "-Xlinker", "now",
      "-Xlinker", "-z", "-Xlinker", "relro",
      "-Xlinker", "-z", "-Xlinker", "nodelete",
    ] + (sanitizing ? [] : ["-Xlinker", "-z", "-Xlinker", "defs"]))
]

func system(_ library: String, _ linked: String...) -> Target {
  .target(
    name: "C\(library)", path: "Sources/System/\(library)",
    // Hidden, so that no helper leaves librstream.so by having a name that begins with rstream_.
    cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-I\(root)/include"])],
    linkerSettings: linked.map { .linkedLibrary($0) })
}

let package = Package(
  name: "rstream",
  products: [
    .library(name: "rstream", type: .dynamic, targets: ["RstreamABI"])
  ],
  targets: [
    .systemLibrary(name: "CRstream", path: "include"),
    system("Platform"),
    system("UV", "uv"),
    system("Codes"),
    system("OpenSSL", "ssl", "crypto"),
    system("HTTPParser", "http_parser"),
    system("Jansson", "jansson"),
    system("YAML", "yaml"),
    system("LDNS", "ldns"),
    system("QUIC", "ngtcp2", "ngtcp2_crypto_gnutls", "gnutls"),
    system("HTTP3", "nghttp3"),
    system("PKCS11"),
    system("Wslay", "wslay"),

    .target(name: "RstreamWire", path: "Sources/Wire", swiftSettings: strict),
    .target(
      name: "RstreamConfig", dependencies: ["CYAML", "CPlatform"], path: "Sources/Config", swiftSettings: strict),
    .target(name: "RstreamJSON", dependencies: ["CJansson"], path: "Sources/JSON", swiftSettings: common),
    .target(
      name: "RstreamNet",
      dependencies: [
        "RstreamWire", "CUV", "COpenSSL", "CPlatform", "CHTTPParser", "CHTTP3", "CLDNS", "CPKCS11", "CQUIC", "CWslay",
      ],
      path: "Sources/Net", swiftSettings: common),
    .target(
      name: "RstreamClient", dependencies: ["RstreamNet", "RstreamWire", "RstreamConfig", "RstreamJSON"],
      path: "Sources/Client", swiftSettings: common),
    .target(
      name: "RstreamEngine",
      dependencies: ["RstreamNet", "RstreamWire", "RstreamConfig", "RstreamJSON", "COpenSSL", "CPlatform"],
      path: "Sources/Engine", swiftSettings: common),
    .target(
      name: "RstreamABI",
      dependencies: ["CRstream", "CCodes", "CUV", "RstreamClient", "RstreamEngine", "RstreamNet", "RstreamConfig"],
      path: "Sources/ABI", swiftSettings: common, linkerSettings: sharedLibrary),

    .executableTarget(
      name: "wire-tool", dependencies: ["RstreamWire"], path: "Tests/tools/wire-tool", swiftSettings: common),

    .target(name: "TestSupport", dependencies: ["RstreamNet"], path: "Tests/Support"),
    .testTarget(name: "WireTests", dependencies: ["RstreamWire"], path: "Tests/WireTests"),
    .testTarget(name: "ConfigTests", dependencies: ["RstreamConfig"], path: "Tests/ConfigTests"),
    .testTarget(name: "JSONTests", dependencies: ["RstreamJSON"], path: "Tests/JSONTests"),
    .testTarget(
      name: "NetTests", dependencies: ["RstreamNet", "COpenSSL", "CQUIC", "CRstream", "TestSupport"],
      path: "Tests/NetTests"),
    .testTarget(name: "ClientTests", dependencies: ["RstreamClient", "TestSupport"], path: "Tests/ClientTests"),
    .testTarget(
      name: "EngineTests", dependencies: ["RstreamEngine", "TestSupport", "CUV", "COpenSSL", "CPlatform"],
      path: "Tests/EngineTests"),
  ],
  swiftLanguageModes: [.v6]
)
