//! gRPC over HTTP/2 without TLS, and the few protobuf fields that etcd's puts and ranges need.
//!
//! Never: streams, compression, retries.

use anyhow::{Context, Result, bail};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::client::{STREAM_WINDOW, WINDOW};

/// One connection.
#[derive(Clone, Debug)]
pub struct Channel {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Channel {
    /// Connects to `address`.
    pub async fn connect(address: &str) -> Result<Channel> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let address = address.to_owned();
        Ok(Channel { address, sender })
    }

    /// Calls a method with a message, and answers with one.
    pub async fn call(&mut self, method: &str, message: &[u8]) -> Result<Bytes> {
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len())?);
        body.put_slice(message);
        let request = Request::post(format!("http://{}{method}", self.address))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(body.freeze()))?;
        let answer = self.sender.send_request(request).await?;
        let head = answer.headers().get("grpc-status").cloned();
        let body = answer.into_body().collect().await?;
        let status = body.trailers().and_then(|last| last.get("grpc-status"));
        let status = status.or(head.as_ref());
        if status.is_none_or(|status| status != "0") {
            bail!("{method}: grpc-status {status:?}, {:?}", body.trailers());
        }
        let mut bytes = body.to_bytes();
        if bytes.len() < 5 || bytes[0] != 0 {
            bail!("{method}: the answer is no message");
        }
        bytes.advance(5);
        Ok(bytes)
    }
}

/// Appends a field of bytes.
pub fn put(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The fields of bytes in a message, with their numbers.
pub fn fields(mut message: Bytes) -> Result<Vec<(u64, Bytes)>> {
    let mut found = Vec::new();
    while message.has_remaining() {
        let tag = take_varint(&mut message)?;
        match tag & 7 {
            0 => {
                take_varint(&mut message)?;
            }
            2 => {
                let length = usize::try_from(take_varint(&mut message)?)?;
                if length > message.len() {
                    bail!("a protobuf field is cut off");
                }
                found.push((tag >> 3, message.split_to(length)));
            }
            other => bail!("a protobuf field of wire type {other}"),
        }
    }
    Ok(found)
}

fn take_varint(message: &mut Bytes) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        if !message.has_remaining() {
            break;
        }
        let byte = message.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a protobuf number is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_put() {
        let mut message = vec![0x18, 0x96, 0x01];
        put(&mut message, 1, b"key");
        put(&mut message, 16, &[b'x'; 300]);
        let found = fields(message.clone().into()).unwrap();
        assert_eq!(found, [(1, "key".into()), (16, vec![b'x'; 300].into())]);
        message.pop();
        assert!(fields(message.into()).is_err());
        assert!(fields(vec![0x80].into()).is_err() && fields(vec![0x0d].into()).is_err());
    }
}
