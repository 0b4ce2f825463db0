// SPDX-License-Identifier: Apache-2.0
//! Publishes a web server of this machine.
//!
//!     publish [PORT]
//!
//! The environment says where the engine is: RSTREAM_ENGINE, RSTREAM_AUTHENTICATION_TOKEN, RSTREAM_CA_FILE.
use rstream::{Client, Config, ForwardEvent, Loop, Result, TunnelOptions};

async fn publish(client: &Client, port: &str) -> Result<()> {
    let control = client.connect().await?;
    let mut options = TunnelOptions::new()?;
    options.set("protocol", "http")?;
    let tunnel = control.create_tunnel(&options).await?;
    tunnel.forward_with(port, |event| match event {
        ForwardEvent::Opened { peer } => eprintln!("{peer} has come"),
        ForwardEvent::Closed { peer, bytes_in, bytes_out, .. } => {
            eprintln!("{peer} has gone: {bytes_in} bytes in, {bytes_out} bytes out");
        }
        _ => {}
    })?;
    println!("{}", tunnel.forwarding_address());
    tunnel.ended().await
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_string());
    let on = Loop::new()?;
    let client = Client::new(&on, &Config::from_env()?)?;
    on.block_on(publish(&client, &port))
}
