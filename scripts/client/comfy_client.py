"""A ComfyUI server over HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

from client.errors import ClientError
from client.files import complete_file
from client.websocket import WebSocket


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
            raise self._nobody(getattr(cause, "reason", cause)) from None

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
        address = f"/view?{urllib.parse.urlencode(query)}"
        try:
            with self.open(address, timeout=600) as answer, complete_file(target) as path, path.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
        except urllib.error.HTTPError as refused:
            raise ClientError(f"The server does not give out {item['filename']} ({refused.code}).") from None

    def cancel(self, prompt_id: str) -> None:
        """Takes the prompt out of the queue, or stops it if it runs; other prompts go on."""
        self.post("/queue", {"delete": [prompt_id]})
        self.post("/interrupt", {"prompt_id": prompt_id})

    def listen(self, client_id: str) -> WebSocket:
        """The server's messages to this client from now on."""
        try:
            connection = socket.create_connection((self.host, self.port), timeout=60)
            if self.secure:
                connection = ssl.create_default_context().wrap_socket(connection, server_hostname=self.host)
        except OSError as cause:
            raise self._nobody(cause) from None
        events = WebSocket(connection)
        events.handshake(f"{self.host}:{self.port}", f"{self.path}/ws?clientId={client_id}")
        return events

    def _nobody(self, reason: object) -> ClientError:
        return ClientError(f"No ComfyUI answers at {self.url} ({reason}); start it or change --server.")
