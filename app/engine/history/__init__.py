"""What the engine remembers over restarts: figures of servers and requests, never their text."""

from app.engine.history.history import History

__all__ = ["History"]
