//! A TCP port in front of a server. Closed, it takes connections and says nothing, as a server that hangs; open, it
//! passes bytes. Connections that came while it was closed stay silent.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Debug)]
pub(crate) struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
    /// Ends with the value.
    _tasks: JoinSet<()>,
}

impl Gate {
    /// A closed gate in front of a port of 127.0.0.1.
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_open, state) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let passes = *state.borrow();
                connections.spawn(async move {
                    if passes {
                        let mut server = TcpStream::connect(("127.0.0.1", server_port)).await.expect("the server runs");
                        // Either side may end the connection as it likes.
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    } else {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { port, is_open, _tasks: tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }
}
