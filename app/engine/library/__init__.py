"""The models on this disk: a scan by a worker process, and a quick look whether one is needed."""

from app.engine.library.library import Library, split_folders

__all__ = ["Library", "split_folders"]
