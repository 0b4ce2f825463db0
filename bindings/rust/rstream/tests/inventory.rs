// SPDX-License-Identifier: Apache-2.0
//! What an engine tells of its tunnels and clients, and the contexts of a configuration file.
mod common;
use common::*;
use rstream::{Check, Code, Config, Filters};
use std::fs;

#[test]
fn tunnels_and_clients_are_listed() {
    let world = World::new();
    let (control, tunnel) = world.tunnel("first");
    let second = options(&[("name", "second"), ("publish", "false"), ("labels.team", "edge")]);
    world.on.block_on(async {
        let second = control.create_tunnel(&second).await.unwrap();
        let all = world.client.list_tunnels(None, 0).await.unwrap();
        let mut names: Vec<_> = all.iter().map(|entry| entry.property("name").unwrap().to_string()).collect();
        names.sort();
        assert_eq!((names, all.len(), all.is_empty()), (vec!["first".into(), "second".into()], 2, false));
        assert!(all.get(2).is_none() && all.json().starts_with('['));
        assert_eq!(world.client.list_tunnels(None, 1).await.unwrap().len(), 1);

        let mut filters = Filters::of_tunnels().unwrap();
        filters.set("labels.team", "edge").unwrap().set("publish", "false").unwrap();
        let found = world.client.list_tunnels(Some(&filters), 0).await.unwrap();
        let entry = found.get(0).unwrap();
        assert_eq!((found.len(), entry.property("id")), (1, second.property("id").as_deref()));
        assert!(entry.properties().any(|property| property == ("labels.team", "edge")), "{entry:?}");
        assert_eq!(entry.forwarding_address(), Some("rstrm://second (unpublished)"));
        assert_eq!((entry.property("a\0b"), entry.property("no such property")), (None, None));
        filters.unset("labels.team").unwrap().require_label("owner").unwrap();
        assert!(world.client.list_tunnels(Some(&filters), 0).await.unwrap().is_empty());
        assert_eq!(filters.set("colour", "red").unwrap_err().code(), Code::INVALID_FILTER);
        let wrong = world.client.list_clients(Some(&filters), 0).await.unwrap_err();
        assert_eq!(wrong.name(), "EINVAL");

        let clients = world.client.list_clients(None, 0).await.unwrap();
        assert_eq!(clients.get(0).unwrap().property("id"), Some(control.client_id().as_str()));
        assert_eq!(clients.get(0).unwrap().forwarding_address(), None);

        let one = world.client.get_tunnel(&tunnel.property("id").unwrap()).await.unwrap();
        assert_eq!(one.get(0).unwrap().property("name"), Some("first"));
        let none = world.client.get_tunnel("nothing").await.unwrap_err();
        assert_eq!((none.code(), none.engine_code().unwrap().raw()), (Code::ENGINE_API_HTTP, 404));
        for what in [Check::Live, Check::Ready, Check::Auth] {
            world.client.check(what).await.unwrap();
        }
        // Late results are freed.
        drop(world.client.list_tunnels(None, 0));
    });
    let (on, again) = (world.on.handle(), world.on.handle());
    world.client.list_tunnels_with(None, 0, move |list| list.and_then(|_| on.stop()).unwrap()).unwrap();
    assert!(world.on.run().unwrap());
    world.client.check_with(Check::Live, move |answer| answer.and_then(|()| again.stop()).unwrap()).unwrap();
    assert!(world.on.run().unwrap());
}

#[test]
fn contexts_of_the_configuration_file() {
    let folder = Folder::new();
    let file = folder.path().join("config.yaml");
    let mut config = Config::new().unwrap();
    config.set("configFile", file.display()).unwrap();
    assert_eq!(config.contexts().unwrap(), []);
    let text = "version: 1\ncontexts:\n- name: home\n  engine: edge.example.com:443\n- name: work\n  region: eu\n";
    fs::write(&file, text).unwrap();
    let found = config.contexts().unwrap();
    assert_eq!((found[0].name.as_str(), found[0].engine.as_deref()), ("home", Some("edge.example.com:443")));
    assert_eq!((found[1].name.as_str(), found[1].region.as_deref()), ("work", Some("eu")));
    assert_eq!((found.len(), found.iter().any(|context| context.is_selected)), (2, false));
    config.use_context("home").unwrap();
    assert!(config.contexts().unwrap()[0].is_selected);
    config.load().unwrap();
    assert_eq!(config.get("engine"), Some("edge.example.com:443"));
    assert_eq!(config.use_context("nowhere").unwrap_err().code(), Code::CONTEXT_NOT_FOUND);
    fs::write(&file, "contexts: [\n").unwrap();
    assert_eq!(config.contexts().unwrap_err().code(), Code::INVALID_CONFIG);
}
