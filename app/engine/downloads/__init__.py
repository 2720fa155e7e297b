"""The engine's downloads: a queue that survives the engine, carried out by a worker process."""

from app.engine.downloads.downloads import Downloads

__all__ = ["Downloads"]
