"""Requests that no good client sends, as bytes."""

import json

from gateway_kit import ASK


def raw(*lines: str, end: str = "\r\n") -> bytes:
    return end.join([*lines, "", ""]).encode("latin-1")


BODY = json.dumps(ASK)
START = ("POST /v1/chat/completions HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n".encode()
PLAIN = BODY.encode()

MALFORMED = {
    "length and chunks": raw(*START, LENGTH, CHUNKED) + CHUNKS,
    "two lengths that differ": raw(*START, LENGTH, "Content-Length: 5") + PLAIN,
    "two equal lengths": raw(*START, LENGTH, LENGTH) + PLAIN,
    "a list of lengths": raw(*START, f"{LENGTH}, {len(BODY)}") + PLAIN,
    "length with a sign": raw(*START, f"Content-Length: +{len(BODY)}") + PLAIN,
    "length with a minus": raw(*START, "Content-Length: -1") + PLAIN,
    "length with a space before the colon": raw(*START, f"Content-Length : {len(BODY)}") + PLAIN,
    "length in other digits": raw(*START, "Content-Length: \xb2") + PLAIN,
    "unknown encoding": raw(*START, "Transfer-Encoding: xchunked") + CHUNKS,
    "chunked, identity": raw(*START, "Transfer-Encoding: chunked, identity") + CHUNKS,
    "chunked twice": raw(*START, CHUNKED, CHUNKED) + CHUNKS,
    "chunks in HTTP/1.0": raw(START[0].replace("1.1", "1.0"), *START[1:], CHUNKED) + CHUNKS,
    "chunk size with 0x": raw(*START, CHUNKED) + b"0x" + CHUNKS,
    "chunk size with a line feed": raw(*START, CHUNKED) + CHUNKS.replace(b"\r\n", b"\n", 1),
    "chunk extension": raw(*START, CHUNKED) + CHUNKS.replace(b"\r\n", b";a=b\r\n", 1),
    "chunk size with a space": raw(*START, CHUNKED) + b" " + CHUNKS,
    "empty chunk size": raw(*START, CHUNKED) + b"\r\n" + CHUNKS,
    "chunk longer than its size": raw(*START, CHUNKED) + CHUNKS.replace(PLAIN, PLAIN + b"x"),
    "chunk size too long": raw(*START, CHUNKED) + b"0" * 20 + CHUNKS,
    "trailer": raw(*START, CHUNKED) + CHUNKS[:-2] + b"X-A: b\r\n\r\n",
    "bare line feeds": raw(*START, LENGTH, end="\n") + PLAIN,
    "one bare line feed": raw(*START, "X-A: b\nX-B: c", LENGTH) + PLAIN,
    "folded header": raw(*START, "X-A: b\r\n c", LENGTH) + PLAIN,
    "carriage return in a value": raw(*START, "X-A: b\rX-B: c", LENGTH) + PLAIN,
    "zero byte in a value": raw(*START, "X-A: b\0c", LENGTH) + PLAIN,
    "header without a name": raw(*START, ": b", LENGTH) + PLAIN,
    "header without a colon": raw(*START, "X-A", LENGTH) + PLAIN,
    "two hosts": raw(*START, "Host: evil.example", LENGTH) + PLAIN,
    "no host": raw(START[0], *START[2:], LENGTH) + PLAIN,
    "absolute target": raw("POST http://evil.example/v1/models HTTP/1.1", *START[1:], LENGTH),
    "asterisk": raw("OPTIONS * HTTP/1.1", *START[1:]),
    "target without a slash": raw("GET v1/models HTTP/1.1", *START[1:]),
    "two spaces": raw("GET  /v1/models HTTP/1.1", *START[1:]),
    "tab": raw("GET\t/v1/models HTTP/1.1", *START[1:]),
    "HTTP/2.0": raw("GET /v1/models HTTP/2.0", *START[1:]),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "small method": raw("get /v1/models HTTP/1.1", *START[1:]),
    "byte above ASCII in the target": raw("GET /v1/\xe9 HTTP/1.1", *START[1:]),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}
