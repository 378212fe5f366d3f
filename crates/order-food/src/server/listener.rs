//! The listener: what is accepted on it, and how new connections are kept away at the end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use actix_http::{HttpService, Protocol as HttpProtocol};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions, Server, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::connections::Connections;
use super::offers::WithoutOffers;

/// Longer than the keep-alive of proxies (nginx: 60 s), so that they are the ones to close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take to close.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves what `make_app` makes, once for each thread, on the connections of a listener.
pub fn serve<F, T, B>(
    listener: TcpListener,
    connections: &Connections,
    shutdown_timeout: Duration,
    make_app: F,
) -> io::Result<Server>
where
    F: Fn() -> App<T> + Clone + Send + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Response = ServiceResponse<B>,
            Config = (),
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let connections = connections.clone();
    let per_worker = (connections.most() / workers).max(1);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(per_worker)
        .shutdown_timeout(shutdown_timeout.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("order-food", listener, move || {
        let app = make_app().into_factory().map_err(|error: actix_web::Error| error.error_response());
        let (connections, stopping) = (connections.clone(), stopping.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEADER_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .on_connect_ext(move |stream: &WithoutOffers, data: &mut Extensions| {
                connections.record(&stream.0, data);
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let accepted = fn_service(|stream: TcpStream| async move {
            // Responses go out at once. A connection that is gone already is noticed by the first read.
            let _ = stream.set_nodelay(true);
            let peer = stream.peer_addr().ok();
            Ok((WithoutOffers(stream), HttpProtocol::Http1, peer))
        });
        accepted.and_then(http)
    })?;
    Ok(server.run())
}

/// A listener as the server wants it.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 2048;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets no new connection come, while those that came can still be accepted. Closing a listener resets those that wait
/// to be accepted, and their requests are lost. Whoever tries to connect meanwhile is not answered, tries again a second
/// later, and is refused then by a closed port, which any proxy takes to another server.
pub fn keep_new_ones_away(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use socket2::SockFilter;
        // The kernel's packet filter (linux/filter.h), which begins at TCP's header: drop what has the flag SYN.
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_SET: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        SockRef::from(listener).attach_filter(&[
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ])
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (listener, SockRef::from(listener));
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn who_came_is_accepted_and_nobody_else_comes() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut before = TcpStream::connect(address).unwrap();
        keep_new_ones_away(&listener).unwrap();
        let after = TcpStream::connect_timeout(&address, Duration::from_millis(200));
        assert_eq!(after.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut accepted, _) = listener.accept().unwrap();
        before.write_all(b"x").unwrap();
        accepted.set_nonblocking(false).unwrap();
        accepted.read_exact(&mut [0]).unwrap();
    }
}
