"""A ComfyUI server over HTTP, with nothing but the standard library.

scripts/client is the runner's own, which needs Python alone, none of this package, and follows one run on a websocket.
"""

from __future__ import annotations

import http
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

from ...errors import UserError
from ...video.files import atomic_file


class NoAnswer(Exception):
    """Nobody answers there, or not as a ComfyUI server does; the message is a sentence."""


class Refused(Exception):
    """The server does not take a graph or a file; the message is a sentence."""


class Server:
    """One server, given as host:port or as an http(s) address; UserError for what is neither.

    Every method raises NoAnswer where the server is gone, and urllib's HTTPError where it refuses.
    """

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        try:
            known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or "://" in address)
        except ValueError:
            known = False
        if not known:
            raise UserError(f"{address!r} in --servers is no address: give host:port, such as 127.0.0.1:8188.")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"

    def get(self, path: str) -> dict:
        return json.loads(self._read(path) or b"null")

    def post(self, path: str, body: dict) -> dict | None:
        return json.loads(self._read(path, json.dumps(body).encode()) or b"null")

    def upload(self, file: Path, name: str, folder: str = "") -> None:
        """Put a file into the server's input folder, over one of that name; raises Refused where it is too large."""
        fields = {"subfolder": folder, "overwrite": "true", "type": "input"}
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Disposition: form-data; name="
        text = "".join(f'{head}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items())
        text += f'{head}"image"; filename="{name}"\r\n\r\n'
        body = text.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        try:
            self._read("/upload/image", body, f"multipart/form-data; boundary={boundary}", 600)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            raise Refused(
                f"{file} has {len(body) >> 20} MB, more than {self.url} takes: start it with --max-upload-size (in MB)."
            ) from None

    def download(self, item: dict, target: Path) -> None:
        """One output file, as the history names it; it gets its name when it is whole."""
        query = urllib.parse.urlencode({key: item.get(key, "") for key in ("filename", "subfolder", "type")})
        try:
            with self._open(f"/view?{query}", None, "", 600) as answer, atomic_file(target) as unfinished:
                with unfinished.open("wb") as file:
                    shutil.copyfileobj(answer, file, 1 << 20)
                if unfinished.stat().st_size != int(answer.headers.get("content-length", unfinished.stat().st_size)):
                    raise NoAnswer(f"{self.url} broke off in the middle of a file.")
        except ConnectionError as error:
            raise NoAnswer(f"{self.url} broke off in the middle of a file ({error}).") from None

    def queue(self, graph: dict) -> str:
        """The id of the prompt; raises Refused with what the server says of the graph."""
        try:
            answer = self.post("/prompt", {"prompt": graph, "client_id": uuid.uuid4().hex})
        except urllib.error.HTTPError as refused:
            text = refused.read()
            try:
                answer = json.loads(text)
            except ValueError:
                answer = {"error": {"message": text.decode(errors="replace")[:200]}}
        if "prompt_id" in answer and not answer.get("node_errors"):
            return answer["prompt_id"]
        errors = [error for node in (answer.get("node_errors") or {}).values() for error in node["errors"]]
        said = "; ".join(f"{error['message']} ({error['details']})" for error in errors)
        raise Refused(f"{self.url} refused the graph: {said or answer.get('error', {}).get('message', answer)}.")

    def cancel(self, prompt_id: str) -> None:
        """Take the prompt out of the queue, or stop it if it runs; other prompts go on."""
        self.post("/queue", {"delete": [prompt_id]})
        self.post("/interrupt", {"prompt_id": prompt_id})

    def _read(self, path: str, data: bytes | None = None, kind: str = "application/json", timeout: float = 60) -> bytes:
        with self._open(path, data, kind, timeout) as answer:
            try:
                return answer.read()
            except OSError as error:
                raise NoAnswer(f"{self.url} broke off ({error}).") from None

    def _open(self, path: str, data: bytes | None, kind: str, timeout: float):
        request = urllib.request.Request(self.url + path, data, {"content-type": kind})
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            raise NoAnswer(f"No ComfyUI answers at {self.url} ({getattr(error, 'reason', error)}).") from None
