//! A TCP proxy on loopback that behaves as networks do: late, cut, half-open; or that loses just the answer to a commit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// How a link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// As it should.
    Fair,
    /// Everything arrives so much later, both ways.
    Late(Duration),
    /// Connections are cut, and no new ones are let through.
    Cut,
    /// Nothing arrives, either way, and nobody is told. What was lost is missed: such connections end when the weather
    /// changes.
    Hole,
    /// What is sent arrives; what comes back does not.
    HoleBack,
    /// A commit arrives and is done; the connection is cut before its reply is seen.
    CommitsUnanswered,
}

#[derive(Debug, Clone, Copy)]
struct State {
    target: SocketAddr,
    /// The address of this machine that its connections come from, if it is not the usual one.
    source: Option<IpAddr>,
    weather: Weather,
    /// How many changes there were.
    age: u64,
    /// Connections that were made before this change are holes for ever.
    abandoned: u64,
}

/// A link. Dropped, it is cut.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Link {
    /// A link to `target`. Lives on the present runtime.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        Self::between(None, target).await
    }

    /// Likewise, for a target that is to see the connections come from `source`, an address of this machine.
    pub(crate) async fn from(source: IpAddr, target: SocketAddr) -> Self {
        Self::between(Some(source), target).await
    }

    async fn between(source: Option<IpAddr>, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (state, changes) = watch::channel(State {
            target,
            source,
            weather: Weather::Fair,
            age: 0,
            abandoned: 0,
        });
        tokio::spawn(accept(listener, changes));
        Self { address, state }
    }

    /// Where to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it behaves, for connections that are open too.
    pub(crate) fn set(&self, weather: Weather) {
        self.state.send_modify(|state| {
            state.weather = weather;
            state.age += 1;
        });
    }

    /// Forgets the connections that are open, as a firewall does that was started anew: they are holes from now on, and
    /// nobody is told. New ones are served.
    pub(crate) fn forget(&self) {
        self.state.send_modify(|state| {
            state.age += 1;
            state.abandoned = state.age;
        });
    }

    /// Leads new connections elsewhere.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }
}

async fn accept(listener: TcpListener, mut changes: watch::Receiver<State>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                tokio::spawn(serve(client, changes.clone()));
            }
            news = changes.changed() => {
                if news.is_err() {
                    return;
                }
            }
        }
    }
}

async fn connect(state: State) -> std::io::Result<TcpStream> {
    let Some(source) = state.source else {
        return TcpStream::connect(state.target).await;
    };
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(state.target).await
}

async fn serve(client: TcpStream, mut changes: watch::Receiver<State>) {
    let state = *changes.borrow_and_update();
    if state.weather == Weather::Cut {
        return;
    }
    let Ok(server) = connect(state).await else {
        return;
    };
    let delay = (client.set_nodelay(true), server.set_nodelay(true));
    if delay.0.is_err() || delay.1.is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let flags = Arc::new(Flags::default());
    let there = Pump {
        from: from_client,
        to: to_server,
        back: false,
        born: state.age,
        flags: Arc::clone(&flags),
        state: changes.clone(),
    };
    let back = Pump {
        from: from_server,
        to: to_client,
        back: true,
        born: state.age,
        flags: Arc::clone(&flags),
        state: changes.clone(),
    };
    tokio::select! {
        () = there.run() => {}
        () = back.run() => {}
        () = broken(changes, &flags) => {}
    }
}

/// What both directions of a connection know.
#[derive(Debug, Default)]
struct Flags {
    /// Something was lost.
    lost: AtomicBool,
    /// A commit is on its way whose reply shall not be seen.
    doomed: AtomicBool,
}

/// Returns when the connection must end: it is cut, or the weather changes after something was lost, or its link is gone.
async fn broken(mut changes: watch::Receiver<State>, flags: &Flags) {
    loop {
        if changes.changed().await.is_err() {
            return;
        }
        let weather = changes.borrow_and_update().weather;
        if weather == Weather::Cut || flags.lost.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// One direction of a connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    back: bool,
    born: u64,
    flags: Arc<Flags>,
    state: watch::Receiver<State>,
}

impl Pump {
    /// Carries what comes until an end closes.
    async fn run(mut self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(length @ 1..) = self.from.read(&mut buffer).await else {
                return;
            };
            let state = *self.state.borrow();
            if self.born < state.abandoned {
                continue;
            }
            let weather = state.weather;
            let chunk = &buffer[..length];
            match weather {
                Weather::Late(by) => sleep(by).await,
                Weather::CommitsUnanswered if !self.back && has_commit(chunk) => {
                    self.flags.doomed.store(true, Ordering::SeqCst);
                }
                _ => {}
            }
            let lost = match weather {
                Weather::Hole => true,
                Weather::HoleBack => self.back,
                _ => false,
            };
            if lost {
                self.flags.lost.store(true, Ordering::SeqCst);
                continue;
            }
            if self.back && self.flags.doomed.load(Ordering::SeqCst) {
                return;
            }
            if self.to.write_all(chunk).await.is_err() {
                return;
            }
        }
    }
}

/// Whether bytes of the Postgres protocol hold a statement that commits.
fn has_commit(chunk: &[u8]) -> bool {
    chunk.windows(6).any(|window| window == b"COMMIT")
}
