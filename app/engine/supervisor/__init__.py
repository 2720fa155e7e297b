"""Owns every server: the one writer of their states, one task for each."""

from app.engine.supervisor import logfiles, runfile
from app.engine.supervisor.supervisor import Supervisor

__all__ = ["Supervisor", "logfiles", "runfile"]
