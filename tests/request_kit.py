"""A request at an engine's gateway that stays open, for tests of what is told of it."""

import contextlib
import http.client
import json
from collections.abc import Generator
from urllib.parse import urlsplit

from engine_kit import ENDLESS, RunningEngine, chat
from patience import DEADLINE_S

SECRET = "the words of the user"


@contextlib.contextmanager
def open_stream(engine: RunningEngine) -> Generator[http.client.HTTPResponse]:
    """A stream that does not end by itself."""
    parts = urlsplit(engine.gateway_url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
    body = chat(SECRET, stream=True, max_tokens=4000, **ENDLESS)
    try:
        link.request("POST", "/v1/chat/completions", json.dumps(body))
        response = link.getresponse()
        assert response.read(100)
        yield response
    finally:
        link.close()
