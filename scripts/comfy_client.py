"""A ComfyUI server over HTTP and its websocket, with Python's standard library alone: nothing to install."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAKE_SECONDS = 0.5  # how long a read may block before Ctrl-C gets a chance (Windows does not break a blocking read)


class ClientError(Exception):
    """One sentence for the person who runs the graph."""


class Client:
    """One server, given as host:port or as an http(s) address."""

    def __init__(self, server: str):
        address = urllib.parse.urlsplit(server if "://" in server else f"http://{server}")
        try:
            self.port = address.port or (443 if address.scheme == "https" else 80)
        except ValueError:
            self.port = None
        if address.scheme not in ("http", "https") or not address.hostname or not self.port:
            raise ClientError(f"--server {server} is no address; give host:port, such as 127.0.0.1:8188.")
        self.secure, self.host, self.path = address.scheme == "https", address.hostname, address.path.rstrip("/")
        self.url = f"{address.scheme}://{address.netloc}{self.path}"

    def open(self, path: str, data: bytes | None = None, content_type: str = "application/json", timeout: float = 60):
        """The open answer; ClientError where nobody answers, urllib's HTTPError where the server refuses."""
        request = urllib.request.Request(self.url + path, data, {"content-type": content_type})
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError:
            raise
        except OSError as cause:
            reason = getattr(cause, "reason", cause)
            raise ClientError(f"No ComfyUI answers at {self.url} ({reason}); start it or change --server.") from None

    def get(self, path: str):
        with self.open(path) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict):
        with self.open(path, json.dumps(body).encode()) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def upload(self, file: Path) -> str:
        """Puts a file into the server's input folder and gives the name it got there, the value for a file input."""
        boundary = uuid.uuid4().hex
        name = file.name.replace('"', "_")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        body = head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + file.read_bytes()
        body += f"\r\n--{boundary}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={boundary}"
        try:
            with self.open("/upload/image", body, content_type, timeout=600) as answer:
                stored = json.load(answer)
        except urllib.error.HTTPError as refused:
            raise ClientError(f"The server did not take {file} ({refused.code} {refused.reason}).") from None
        return f"{stored['subfolder']}/{stored['name']}" if stored.get("subfolder") else stored["name"]

    def download(self, item: dict, target: Path) -> None:
        """One output file; it gets its name only when it is complete."""
        query = {key: item.get(key, "") for key in ("filename", "subfolder", "type")}
        partial = target.with_name(target.name + ".part")
        try:
            with self.open(f"/view?{urllib.parse.urlencode(query)}", timeout=600) as answer, partial.open("wb") as file:
                while chunk := answer.read(1 << 20):
                    file.write(chunk)
            os.replace(partial, target)
        except urllib.error.HTTPError as refused:
            raise ClientError(f"The server does not give out {item['filename']} ({refused.code}).") from None
        finally:
            partial.unlink(missing_ok=True)

    def cancel(self, prompt_id: str) -> None:
        """Takes the prompt out of the queue, or stops it if it runs; other prompts go on."""
        self.post("/queue", {"delete": [prompt_id]})
        self.post("/interrupt", {"prompt_id": prompt_id})

    def listen(self, client_id: str) -> WebSocket:
        return WebSocket(self, f"{self.path}/ws?clientId={client_id}")


class WebSocket:
    """RFC 6455, the client's side, as far as ComfyUI needs it: JSON texts come, nothing but pongs goes."""

    def __init__(self, client: Client, path: str):
        self._buffer = b""
        try:
            self._socket = socket.create_connection((client.host, client.port), timeout=60)
            if client.secure:
                context = ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=client.host)
        except OSError as cause:
            raise ClientError(f"No ComfyUI answers at {client.url} ({cause}); start it or change --server.") from None
        self._socket.settimeout(WAKE_SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {client.host}:{client.port}",
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
            raise ClientError(f"{client.url} is no ComfyUI: it opens no websocket at /ws.")

    def close(self) -> None:
        self._socket.close()

    def messages(self) -> Iterator[dict]:
        """Every JSON message until the server closes; previews (binary) are left out."""
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
            if final and kind == TEXT:
                yield json.loads(parts)

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
            got = self._socket.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        except OSError:
            got = b""
        if not got:
            raise ClientError("The server closed the connection while the graph ran; look into its log.")
        self._buffer += got

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(bytes([128 | opcode, 128 | len(payload)]) + mask + masked)
