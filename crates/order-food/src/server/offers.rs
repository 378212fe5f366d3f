//! Offers to upgrade a connection, which are not taken. A server may ignore them (RFC 9110, section 7.8), but the
//! framework closes each connection whose client makes one. Java's client offers HTTP/2 with each order, and a
//! much-copied configuration of nginx says `Connection: upgrade` for all requests. So the framework does not get to see
//! offers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose requests offer nothing.
pub struct WithoutOffers(pub TcpStream);

/// As long as the word that it replaces, so that nothing moves.
const WITHDRAWN: &[u8; 7] = b"x-offer";
const UPGRADE: &[u8; 7] = b"upgrade";

/// Takes offers out of the header lines in these bytes. An offer that is split between two reads is left alone: its
/// answer closes the connection. No line of a body looks like an offer: JSON has a quote before each name.
fn withdraw_offers(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
        at += length + 1;
        match bytes.get(at) {
            Some(b'u' | b'U') => withdraw_header(&mut bytes[at..]),
            Some(b'c' | b'C') => withdraw_option(&mut bytes[at..]),
            Some(_) | None => {}
        }
    }
}

/// `Upgrade: h2c`
fn withdraw_header(line: &mut [u8]) {
    if let Some((name, [b':', ..])) = line.split_first_chunk_mut::<7>()
        && name.eq_ignore_ascii_case(UPGRADE)
    {
        *name = *WITHDRAWN;
    }
}

/// `Connection: Upgrade, HTTP2-Settings`
fn withdraw_option(line: &mut [u8]) {
    const NAME: &[u8] = b"connection:";
    let Some((name, value)) = line.split_at_mut_checked(NAME.len()) else { return };
    let end = memchr::memchr2(b'\r', b'\n', value);
    if let (true, Some(end)) = (name.eq_ignore_ascii_case(NAME), end) {
        for option in value[..end].split_mut(|byte| *byte == b',') {
            let start = option.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or_default();
            if let Some((word, rest)) = option[start..].split_first_chunk_mut::<7>()
                && word.eq_ignore_ascii_case(UPGRADE)
                && rest.iter().all(u8::is_ascii_whitespace)
            {
                *word = *WITHDRAWN;
            }
        }
    }
}

impl AsyncRead for WithoutOffers {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            withdraw_offers(&mut buffer.filled_mut()[before..]);
        }
        read
    }
}

impl AsyncWrite for WithoutOffers {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_taken_out_and_nothing_else_changes() {
        for (sent, seen) in [
            (
                "POST /api/order HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n{}",
                "POST /api/order HTTP/1.1\r\nConnection: x-offer, HTTP2-Settings\r\nx-offer: h2c\r\nHTTP2-Settings: AA\r\n\r\n{}",
            ),
            (
                "GET / HTTP/1.1\r\nconnection: upgrade\r\n\r\n",
                "GET / HTTP/1.1\r\nconnection: x-offer\r\n\r\n",
            ),
            ("GET / HTTP/1.1\nCONNECTION:UPGRADE\n\n", "GET / HTTP/1.1\nCONNECTION:x-offer\n\n"),
            (
                "GET / HTTP/1.1\r\nConnection: close , Upgrade\r\n\r\n",
                "GET / HTTP/1.1\r\nConnection: close , x-offer\r\n\r\n",
            ),
            (
                "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                "GET / HTTP/1.1\r\nConnection: x-offer\r\nx-offer: websocket\r\n\r\n",
            ),
        ] {
            let mut bytes = sent.as_bytes().to_vec();
            withdraw_offers(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), seen);
        }
        for same in [
            "",
            "\n",
            "\nu",
            "\nconnection:",
            "GET /upgrade: HTTP/1.1\r\nHost: upgrade\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: upgraded, not-upgrade\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nX-Connection: upgrade\r\nUpgrades: h2c\r\n\r\n",
            "upgrade: h2c\r\n",
            "POST / HTTP/1.1\r\n\r\n{\n\"connection\": \"upgrade\",\n \"upgrade\": 1}",
        ] {
            let mut bytes = same.as_bytes().to_vec();
            withdraw_offers(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), same);
        }
    }
}
