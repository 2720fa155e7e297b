"""The one OpenAI-compatible door to all model servers."""

from app.gateway.directory import Directory, Served, Upstream
from app.gateway.gateway import Gateway

__all__ = ["Directory", "Gateway", "Served", "Upstream"]
