// SPDX-License-Identifier: Apache-2.0
//! Engine, agent and dialer in one program: sends its arguments through a private tunnel of an embedded engine and prints
//! what comes back.
//!
//!     echo [WORD...]
use rstream::{Client, Config, Engine, EngineOptions, Loop, LoopHandle, Result, Stream, Tunnel, TunnelOptions};
use std::path::PathBuf;

/// Sends back what the stream sends, no faster than the other side takes it.
async fn echo(stream: Stream) -> Result<()> {
    let mut buffer = Vec::new();
    loop {
        buffer = stream.read(buffer).await?;
        if buffer.is_empty() {
            return stream.shutdown().await;
        }
        stream.write(&buffer).await?;
    }
}

/// Each stream gets a task of its own.
async fn serve(on: LoopHandle, tunnel: Tunnel) -> Result<()> {
    loop {
        let stream = tunnel.accept().await?;
        on.spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{error}");
            }
        })?;
    }
}

async fn talk(on: LoopHandle, client: Client, words: String) -> Result<()> {
    let control = client.connect().await?;
    let mut options = TunnelOptions::new()?;
    options.set("name", "echo")?.set("publish", false)?;
    let tunnel = control.create_tunnel(&options).await?;
    let serving = serve(on.clone(), tunnel);
    on.spawn(async { drop(serving.await) })?;

    let stream = client.dial("echo").await?;
    stream.write(words).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    loop {
        let bytes = stream.read(Vec::new()).await?;
        if bytes.is_empty() {
            break;
        }
        answer.extend(bytes);
    }
    println!("{}", String::from_utf8_lossy(&answer));
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
    let name = format!("rstream-echo-{}", std::process::id());
    let state = StateFolder(std::env::temp_dir().join(name));
    let on = Loop::new()?;

    let mut options = EngineOptions::new()?;
    options.set("dev.enabled", true)?.set("dev.state_dir", state.0.display())?;
    options.set("tls.listen_addr", "127.0.0.1:0")?;
    let engine = Engine::new(&on, &options)?;
    engine.start()?;

    let mut config = Config::new()?;
    config.set("engine", engine.address().unwrap_or_default())?;
    config.set("transport.tls.caFile", engine.ca_file().unwrap_or_default().display())?;
    let client = Client::new(&on, &config)?;

    let words = if words.is_empty() { "hello".to_string() } else { words.join(" ") };
    on.block_on(talk(on.handle(), client, words))
}
