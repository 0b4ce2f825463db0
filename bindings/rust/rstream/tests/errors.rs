// SPDX-License-Identifier: Apache-2.0
//! What is refused, by whom, and what the errors say.
mod common;
use common::*;
use rstream::{Client, Code, Config, EngineCode, EngineOptions, Loop, TunnelOptions};
use std::error::Error;
use std::path::Path;

#[test]
fn settings() {
    let mut config = Config::new().unwrap();
    let unknown = config.set("engin", "localhost").unwrap_err();
    assert_eq!((unknown.code(), unknown.name()), (Code::INVALID_CONFIG, "ERR_RSTREAM_INVALID_CONFIG"));
    assert!(unknown.message().contains("engin") && unknown.to_string() == unknown.message());
    assert_eq!(unknown.engine_code(), None);
    config.set("timeouts.connectMs", 1000).unwrap().set("zeroRtt", false).unwrap();
    assert_eq!((config.get("timeouts.connectMs"), config.get("zeroRtt")), (Some("1000"), Some("false")));
    config.unset("timeouts.connectMs").unwrap();
    assert_eq!(config.get("timeouts.connectMs"), None);
    assert_eq!(config.set("engine", "a\0b").unwrap_err().name(), "EINVAL");
    assert_eq!((config.get("a\0b"), config.get("unknown")), (None, None));
    assert_eq!(TunnelOptions::new().unwrap().set("port", "none").unwrap_err().code(), Code::INVALID_TUNNEL);

    let mut options = EngineOptions::new().unwrap();
    assert_eq!(options.get("limits.clients"), Some("10000"));
    let missing = options.load_file(Some(Path::new("/nonexistent"))).unwrap_err();
    assert_eq!((missing.name(), missing.code().errno()), ("ENOENT", Some(2)));
    options.load_environment().unwrap();
    // Plain values may change threads.
    std::thread::spawn(move || drop((config, options))).join().unwrap();
}

#[test]
fn refusals() {
    let on = Loop::new().unwrap();
    let nowhere = Client::new(&on, &Config::new().unwrap()).unwrap_err();
    assert_eq!(nowhere.code(), Code::ENGINE_REQUIRED);

    let world = World::new();
    let client = world.careful_client();
    world.on.block_on(async {
        let unknown = client.dial("nobody").await.unwrap_err();
        assert_eq!((unknown.code(), unknown.engine_code()), (Code::ENGINE, Some(EngineCode::TUNNEL_NOT_FOUND)));
        assert!(unknown.source().is_none() && !unknown.message().is_empty());
        assert_eq!(client.dial(" ").await.unwrap_err().code(), Code::INVALID_TUNNEL);
        assert_eq!(client.dial("a\0b").await.unwrap_err().name(), "EINVAL");

        let control = client.connect().await.unwrap();
        let impossible = options(&[("type", "datagram"), ("publish", "true")]);
        assert_eq!(control.create_tunnel(&impossible).await.unwrap_err().code(), Code::INVALID_TUNNEL);
        let never = |_| panic!("called though the call had failed");
        assert_eq!(control.create_tunnel_with(&impossible, never).unwrap_err().code(), Code::INVALID_TUNNEL);
        let elsewhere = options(&[("protocol", "http"), ("hostname", "elsewhere.example.com")]);
        let refused = control.create_tunnel(&elsewhere).await.unwrap_err();
        assert_eq!(refused.engine_code(), Some(EngineCode::INVALID_REQUEST));
    });
    assert_eq!(world.engine.port("no such listener").unwrap_err().name(), "EINVAL");
    assert_eq!(world.engine.info("no such word"), None);
}

#[test]
fn somebody_elses_certificate() {
    let (world, other) = (World::new(), World::new());
    let mut config = config_of(&world.engine);
    config.set("transport.tls.caFile", other.engine.ca_file().unwrap().display()).unwrap();
    let client = Client::new(&world.on, &config).unwrap();
    assert_eq!(world.on.block_on(client.connect()).unwrap_err().code(), Code::TLS);
}

#[test]
fn the_library_says_what_it_is() {
    assert!(rstream::version().starts_with("1."));
    assert!(rstream::protocol_version().starts_with("1."));
    assert!(rstream::has_feature("engine") && !rstream::has_feature("no such feature"));
    assert!(rstream::features().count() > 1);
}
