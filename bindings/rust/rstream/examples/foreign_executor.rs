// SPDX-License-Identifier: Apache-2.0
//! The loop beneath an executor that is not its own: here a small one on poll(2), which watches the loop's descriptor
//! beside whatever else the program waits for, here its standard input.
//!
//!     foreign_executor NAME      dials a private tunnel and carries standard input and output
//!
//! The environment says where the engine is: RSTREAM_ENGINE, RSTREAM_AUTHENTICATION_TOKEN, RSTREAM_CA_FILE.
use rstream::{Client, Config, Loop, Result};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::raw::{c_int, c_short, c_ulong};
use std::os::unix::io::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

const POLLIN: c_short = 1;

extern "C" {
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
}

/// Runs tasks, and waits in one poll() for descriptors, wakers of other threads, and a loop of rstream.
struct Executor {
    on: Loop,
    tasks: RefCell<Vec<Task>>,
    watched: RefCell<Vec<(RawFd, Waker)>>,
    doorbell: UnixStream,
    ringer: Arc<UnixStream>,
}

struct Task {
    work: Pin<Box<dyn Future<Output = ()>>>,
    bell: Arc<Bell>,
}

/// A waker: notes that its task is ready, and interrupts poll(). Any thread may ring.
struct Bell {
    is_ready: AtomicBool,
    ringer: Arc<UnixStream>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::AcqRel) {
            let _ = (&*self.ringer).write(&[1]);
        }
    }
}

struct Readable {
    executor: Rc<Executor>,
    fd: RawFd,
    is_asked: bool,
}

impl Future for Readable {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.is_asked, true) {
            return Poll::Ready(());
        }
        self.executor.watched.borrow_mut().push((self.fd, context.waker().clone()));
        Poll::Pending
    }
}

impl Executor {
    fn new(on: Loop) -> io::Result<Executor> {
        let (doorbell, ringer) = UnixStream::pair()?;
        doorbell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        let (tasks, watched) = (RefCell::default(), RefCell::default());
        Ok(Executor { on, tasks, watched, doorbell, ringer: Arc::new(ringer) })
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let bell = Arc::new(Bell { is_ready: AtomicBool::new(true), ringer: self.ringer.clone() });
        self.tasks.borrow_mut().push(Task { work: Box::pin(work), bell });
    }

    /// Ends when a descriptor can be read.
    fn readable(self: &Rc<Self>, fd: RawFd) -> Readable {
        Readable { executor: self.clone(), fd, is_asked: false }
    }

    /// Runs until all tasks have ended.
    fn run(&self) -> Result<()> {
        loop {
            let mut tasks = self.tasks.take();
            tasks.retain_mut(|task| {
                let is_ready = task.bell.is_ready.swap(false, Ordering::AcqRel);
                let waker = Waker::from(task.bell.clone());
                !is_ready || task.work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            self.tasks.borrow_mut().append(&mut tasks);
            if self.tasks.borrow().is_empty() {
                return Ok(());
            }
            self.wait();
            // What has come for the loop's operations wakes their tasks.
            self.on.run_nowait()?;
        }
    }

    fn wait(&self) {
        let is_ready = |task: &Task| task.bell.is_ready.load(Ordering::Acquire);
        let timeout = match self.on.timeout() {
            _ if self.tasks.borrow().iter().any(is_ready) => 0,
            Some(time) => c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX),
            None => -1,
        };
        let watched = self.watched.take();
        let mut fds = vec![self.on.as_raw_fd(), self.doorbell.as_raw_fd()];
        fds.extend(watched.iter().map(|(fd, _)| *fd));
        let mut fds: Vec<PollFd> = fds.into_iter().map(|fd| PollFd { fd, events: POLLIN, revents: 0 }).collect();
        // SAFETY: as many structures are passed as the number says.
        unsafe { poll(fds.as_mut_ptr(), fds.len() as c_ulong, timeout) };
        while matches!((&self.doorbell).read(&mut [0; 64]), Ok(1..)) {}
        for ((fd, waker), state) in watched.into_iter().zip(&fds[2..]) {
            if state.revents == 0 {
                self.watched.borrow_mut().push((fd, waker));
            } else {
                waker.wake();
            }
        }
    }
}

async fn carry(executor: Rc<Executor>, client: Client, name: String) -> Result<()> {
    let stream = Rc::new(client.dial(&name).await?);
    let (input, inputs) = (stream.clone(), executor.clone());
    executor.spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            inputs.readable(0).await;
            let count = io::stdin().read(&mut buffer).unwrap_or(0);
            let sent = if count > 0 { input.write(&buffer[..count]).await } else { input.shutdown().await };
            if count == 0 || sent.is_err() {
                return;
            }
        }
    });
    let mut buffer = Vec::new();
    loop {
        buffer = stream.read(buffer).await?;
        if buffer.is_empty() {
            return Ok(());
        }
        let mut output = io::stdout();
        output.write_all(&buffer).and_then(|()| output.flush()).expect("standard output takes bytes");
    }
}

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "echo".to_string());
    let on = Loop::new()?;
    let client = Client::new(&on, &Config::from_env()?)?;
    let executor = Rc::new(Executor::new(on).expect("a pair of sockets"));
    let outcome = Rc::new(Cell::new(Ok(())));
    let (work, result) = (carry(executor.clone(), client, name), outcome.clone());
    executor.spawn(async move { result.set(work.await) });
    executor.run()?;
    outcome.replace(Ok(()))
}
