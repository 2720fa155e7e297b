"""What the fuzzer starts from: a sound example of everything, so that it needn't find the form."""

import json
from pathlib import Path

IOREG = Path(__file__).parents[1] / "data" / "ioreg"
# The first four bytes say where the rest is cut.
CUT = b"\x05\x20\x03\x40"

_TENSORS = {
    "__metadata__": {"format": "mlx"},
    "a.weight": {"dtype": "U32", "shape": [8, 4], "data_offsets": [0, 128]},
    "a.scales": {"dtype": "BF16", "shape": [8, 1], "data_offsets": [128, 144]},
}
_CHUNK = (
    b'data: {"id":"c","model":"m","created":1,"choices":[{"index":0,"delta":{"role":"assistant",'
    b'"content":"x","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]},'
    b'"finish_reason":null}]}\n\n'
)
_USAGE = (
    b'data: {"id":"c","model":"m","created":1,"choices":[],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
)

SEEDS: dict[str, list[bytes]] = {
    "safetensors": [json.dumps(_TENSORS).encode()],
    "log_lines": [b"2026-01-01 10:00:00,123 - ERROR - x\r\nTraceback:\n  y\n"],
    "events": [
        CUT + b'data: {"event":"removed","seq":1,"kind":"model","id":"a"}\n\n: ping\n\n'
        b'data: {"event":"heartbeat","seq":2}\r\n\r\n',
    ],
    "answer": [
        CUT + _CHUNK + b": keep-alive\n\n" + _USAGE + b"data: [DONE]\n\n",
        b"\xff" + CUT + b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"usage":{}}',
    ],
    "request": [
        CUT + b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        CUT + b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Expect: 100-continue\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ],
    "chunks": [CUT + b"5\r\nhello\r\na;x=1\r\n0123456789\r\n0\r\n\r\n"],
    "ioreg": [],
}


def seeds_of(name: str) -> list[bytes]:
    if name == "ioreg":
        return [file.read_bytes() for file in sorted(IOREG.iterdir()) if file.stat().st_size < 4000]
    return SEEDS[name]
