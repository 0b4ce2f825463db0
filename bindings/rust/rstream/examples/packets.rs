// SPDX-License-Identifier: Apache-2.0
//! Engine, agent and dialer in one program: sends each of its arguments as a packet through a private datagram tunnel of
//! an embedded engine, as QUIC datagrams, and prints what comes back.
//!
//!     packets [WORD...]
use rstream::{Client, Config, Engine, EngineOptions, Loop, LoopHandle, Packets, Result, Tunnel, TunnelOptions};
use std::path::PathBuf;

/// Sends back each packet, until the other side closes the channel.
async fn echo(packets: Packets) -> Result<()> {
    let mut buffer = Vec::new();
    while let Some(packet) = packets.read(buffer).await? {
        packets.room().await?;
        packets.send(&packet)?;
        buffer = packet;
    }
    Ok(())
}

/// Each remote end has a channel, and each channel a task of its own.
async fn serve(on: LoopHandle, tunnel: Tunnel) -> Result<()> {
    loop {
        let packets = tunnel.accept_packets().await?;
        on.spawn(async move {
            if let Err(error) = echo(packets).await {
                eprintln!("{error}");
            }
        })?;
    }
}

async fn talk(on: LoopHandle, client: Client, words: Vec<String>) -> Result<()> {
    let control = client.connect().await?;
    let mut options = TunnelOptions::new()?;
    options.set("name", "echo")?.set("type", "datagram")?.set("publish", false)?;
    let tunnel = control.create_tunnel(&options).await?;
    let serving = serve(on.clone(), tunnel);
    on.spawn(async { drop(serving.await) })?;

    let packets = client.dial_packets("echo").await?;
    println!("path: {}", packets.path());
    // One at a time: a network may lose datagrams when many are sent at once.
    for word in words {
        packets.send(&word)?;
        if let Some(packet) = packets.read(Vec::new()).await? {
            println!("{}", String::from_utf8_lossy(&packet));
        }
    }
    Ok(())
}

/// Where the engine keeps its development CA: a folder that goes away again.
struct StateFolder(PathBuf);

impl Drop for StateFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let name = format!("rstream-packets-{}", std::process::id());
    let state = StateFolder(std::env::temp_dir().join(name));
    let on = Loop::new()?;

    let mut options = EngineOptions::new()?;
    options.set("dev.enabled", true)?.set("dev.state_dir", state.0.display())?;
    options.set("tls.listen_addr", "127.0.0.1:0")?;
    let engine = Engine::new(&on, &options)?;
    engine.start()?;

    let mut config = Config::new()?;
    config.set("engine", engine.address().unwrap_or_default())?;
    config.set("transport.mode", "quic")?;
    config.set("transport.tls.caFile", engine.ca_file().unwrap_or_default().display())?;
    let client = Client::new(&on, &config)?;
    on.block_on(talk(on.handle(), client, words))
}
