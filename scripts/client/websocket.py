"""RFC 6455, the client's side, as far as ComfyUI needs it: messages come, nothing but pongs goes."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator

from client.errors import ClientError

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAKE_SECONDS = 0.5  # how long a read may block before Ctrl-C gets a chance (Windows does not break a blocking read)


class WebSocket:
    """Over a connected socket; `handshake` comes first where the server has not upgraded it yet."""

    def __init__(self, connection: socket.socket):
        self._socket, self._buffer = connection, b""

    def handshake(self, host: str, path: str) -> None:
        self._socket.settimeout(WAKE_SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ClientError(f"http://{host} is no ComfyUI: it opens no websocket at {path.partition('?')[0]}.")

    def close(self) -> None:
        self._socket.close()

    def messages(self) -> Iterator[dict]:
        """Every JSON message until the server closes; previews (binary) are left out."""
        return (json.loads(payload) for kind, payload in self.payloads() if kind == TEXT)

    def payloads(self) -> Iterator[tuple[int, bytes]]:
        """(TEXT or BINARY, the whole message) until the server closes."""
        parts, kind = b"", TEXT
        while True:
            final, opcode, payload = self._frame()
            if opcode == CLOSE:
                return
            if opcode == PING:
                self._send(PONG, payload)
            if opcode >= CLOSE:
                continue
            kind = opcode or kind  # 0: goes on with the message before
            parts = payload if opcode else parts + payload
            if final:
                yield kind, parts

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._take(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack(">H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._take(8))
        return bool(first & 128), first & 15, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _receive(self) -> None:
        try:
            received = self._socket.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        except OSError:
            received = b""
        if not received:
            raise ClientError("The server closed the connection while the graph ran; look into its log.")
        self._buffer += received

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(bytes([128 | opcode, 128 | len(payload)]) + mask + masked)
