// SPDX-License-Identifier: Apache-2.0
//! What the tests share: an engine with a client on one loop.
#![allow(dead_code)]
use rstream::{
    Client, Config, Control, Engine, EngineOptions, Loop, LoopHandle, Result, Stream, Tunnel, TunnelOptions,
};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::{fs, process};

/// A folder that goes away again.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An engine in development mode and a client of it. The loop goes last, and its folder after it.
pub struct World {
    pub client: Client,
    pub engine: Engine,
    pub on: Loop,
    pub folder: Folder,
}

impl World {
    pub fn new() -> World {
        World::with(&[])
    }

    pub fn with(settings: &[(&str, &str)]) -> World {
        let folder = Folder::new();
        let on = Loop::new().unwrap();
        let engine = start_engine(&on, folder.path(), settings);
        let client = Client::new(&on, &config_of(&engine)).unwrap();
        World { client, engine, on, folder }
    }

    /// A client that waits for the engine's answers when it dials.
    pub fn careful_client(&self) -> Client {
        let mut config = config_of(&self.engine);
        config.set("zeroRtt", false).unwrap();
        Client::new(&self.on, &config).unwrap()
    }

    /// A client with a transport of choice.
    pub fn client_over(&self, transport: &str) -> Client {
        let mut config = config_of(&self.engine);
        config.set("transport.mode", transport).unwrap();
        Client::new(&self.on, &config).unwrap()
    }

    /// A private tunnel, with its control channel.
    pub fn tunnel(&self, name: &str) -> (Control, Tunnel) {
        self.on.block_on(async {
            let control = self.client.connect().await.unwrap();
            let tunnel = control.create_tunnel(&private(name)).await.unwrap();
            (control, tunnel)
        })
    }

    /// Both ends of a stream through a tunnel.
    pub fn streams(&self, tunnel: &Tunnel) -> (Stream, Stream) {
        let name = tunnel.property("name").unwrap();
        self.on.block_on(async {
            let accepting = tunnel.accept();
            let dialed = self.client.dial(&name).await.unwrap();
            (dialed, accepting.await.unwrap())
        })
    }

    /// Turns the loop until something holds, which has to be before long.
    pub fn until(&self, mut holds: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !holds() {
            assert!(std::time::Instant::now() < deadline, "what is waited for does not happen");
            self.on.run_nowait().unwrap();
            std::thread::yield_now();
        }
    }
}

pub fn start_engine(on: &LoopHandle, folder: &Path, settings: &[(&str, &str)]) -> Engine {
    let mut options = EngineOptions::new().unwrap();
    options.set("dev.enabled", true).unwrap().set("dev.state_dir", folder.display()).unwrap();
    options.set("tls.listen_addr", "127.0.0.1:0").unwrap().set("timeouts.drain_seconds", 1).unwrap();
    for (name, value) in settings {
        options.set(name, value).unwrap();
    }
    let engine = Engine::new(on, &options).unwrap();
    engine.start().unwrap();
    engine
}

pub fn config_of(engine: &Engine) -> Config {
    let mut config = Config::new().unwrap();
    config.set("engine", engine.address().unwrap()).unwrap();
    config.set("transport.tls.caFile", engine.ca_file().unwrap().display()).unwrap();
    config
}

pub fn private(name: &str) -> TunnelOptions {
    options(&[("name", name), ("publish", "false")])
}

pub fn datagrams(name: &str) -> TunnelOptions {
    options(&[("name", name), ("publish", "false"), ("type", "datagram")])
}

pub fn options(properties: &[(&str, &str)]) -> TunnelOptions {
    let mut options = TunnelOptions::new().unwrap();
    for (name, value) in properties {
        options.set(name, value).unwrap();
    }
    options
}

/// Sends back what a stream sends, up to its end.
pub async fn echo(stream: Stream) -> Result<()> {
    let mut buffer = Vec::new();
    loop {
        buffer = stream.read(buffer).await?;
        if buffer.is_empty() {
            return stream.shutdown().await;
        }
        stream.write(&buffer).await?;
    }
}

/// Echoes every stream of a tunnel, each in a task of its own.
pub async fn serve_echo(on: LoopHandle, tunnel: Tunnel) {
    while let Ok(stream) = tunnel.accept().await {
        on.spawn(async move { drop(echo(stream).await) }).unwrap();
    }
}

pub async fn read_all(stream: &Stream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let bytes = stream.read(Vec::new()).await?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

/// Bytes that repeat only after a long while.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Two futures at once.
pub async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    struct Both<A: Future, B: Future>(Pin<Box<A>>, Pin<Box<B>>, Option<A::Output>, Option<B::Output>);
    impl<A: Future, B: Future> Unpin for Both<A, B> {}
    impl<A: Future, B: Future> Future for Both<A, B> {
        type Output = (A::Output, B::Output);
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let this = &mut *self;
            if this.2.is_none() {
                if let Poll::Ready(output) = this.0.as_mut().poll(context) {
                    this.2 = Some(output);
                }
            }
            if this.3.is_none() {
                if let Poll::Ready(output) = this.1.as_mut().poll(context) {
                    this.3 = Some(output);
                }
            }
            match (this.2.take(), this.3.take()) {
                (Some(a), Some(b)) => Poll::Ready((a, b)),
                (a, b) => {
                    (this.2, this.3) = (a, b);
                    Poll::Pending
                }
            }
        }
    }
    Both(Box::pin(a), Box::pin(b), None, None).await
}

/// Polls a future once.
pub async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    struct Once<'a, F>(&'a mut F);
    impl<F: Future + Unpin> Future for Once<'_, F> {
        type Output = Option<F::Output>;
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            match Pin::new(&mut *self.0).poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => Poll::Ready(None),
            }
        }
    }
    Once(future).await
}

/// Lets the loop take a turn.
pub async fn yield_now() {
    struct Yield(bool);
    impl Future for Yield {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Yield(false).await
}
