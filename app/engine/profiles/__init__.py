"""Profiles: TOML files that people may edit, and what the engine publishes of them."""

from app.engine.profiles.published import Profiles
from app.engine.profiles.store import DEMO_ID, ProfileStore, unknown_profile

__all__ = ["DEMO_ID", "ProfileStore", "Profiles", "unknown_profile"]
