"""The websocket's frames, against frames put together by the RFC's table."""

import json
import socket

import pytest

from client.errors import ClientError
from client.websocket import BINARY, TEXT, WebSocket


def frame(payload, opcode=1, final=True):
    size = len(payload)
    head = bytes([128 * final | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + bytes([126]) + size.to_bytes(2, "big") + payload
    return head + bytes([127]) + size.to_bytes(8, "big") + payload


def test_websocket_reads_all_frame_sizes_in_pieces_and_answers_pings():
    near, far = socket.socketpair()
    events = WebSocket(near)
    texts = [json.dumps({"n": "x" * size}) for size in (1, 300, 70000)]
    stream = b"".join(frame(text.encode()) for text in texts)
    stream += frame(b"preview", 2) + frame(b"p" * 20, 9)
    stream += frame(b'{"n":', final=False) + frame(b"", 10) + frame(b'"split"}', 0) + frame(b"", 8)
    with near, far:
        far.sendall(stream[:10])
        messages = events.messages()
        far.sendall(stream[10:50000])
        assert [next(messages) for _ in range(2)] == [json.loads(text) for text in texts[:2]]
        far.sendall(stream[50000:])
        assert list(messages) == [json.loads(texts[2]), {"n": "split"}]
        pong = far.recv(100)
    assert pong[:2] == bytes([128 | 10, 128 | 20])  # clients must mask
    assert bytes(byte ^ pong[2 + i % 4] for i, byte in enumerate(pong[6:])) == b"p" * 20


def test_a_server_that_goes_away_is_an_error_and_not_a_success():
    near, far = socket.socketpair()
    events = WebSocket(near)
    with near:
        far.sendall(frame(b"{}"))
        far.close()
        with pytest.raises(ClientError, match="closed the connection"):
            list(events.messages())


def test_pictures_come_whole_beside_the_texts():
    near, far = socket.socketpair()
    with near, far:
        far.sendall(frame(b"{}") + frame(b"ab", 2, final=False) + frame(b"cd", 0) + frame(b"", 8))
        assert list(WebSocket(near).payloads()) == [(TEXT, b"{}"), (BINARY, b"abcd")]


@pytest.mark.parametrize("answer, upgraded", [("101 Switching Protocols", True), ("404 Not Found", False)])
def test_the_handshake_needs_an_upgrade_and_keeps_what_comes_with_it(answer, upgraded):
    near, far = socket.socketpair()
    with near, far:
        far.sendall(f"HTTP/1.1 {answer}\r\n\r\n".encode() + frame(b'{"n": 1}') + frame(b"", 8))
        events = WebSocket(near)
        if not upgraded:
            with pytest.raises(ClientError, match="opens no websocket at /ws"):
                events.handshake("host:1", "/ws?clientId=x")
            return
        events.handshake("host:1", "/ws?clientId=x")
        request = far.recv(1000).decode()
        assert request.startswith("GET /ws?clientId=x HTTP/1.1\r\nHost: host:1\r\n") and request.endswith("\r\n\r\n")
        assert list(events.messages()) == [{"n": 1}]
