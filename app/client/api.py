"""The control API as methods: one for each route. Every call blocks and has a deadline."""

from app.client.calls.downloads import DownloadCalls
from app.client.calls.general import GeneralCalls
from app.client.calls.keys import KeyCalls
from app.client.calls.models import ModelCalls
from app.client.calls.profiles import ProfileCalls
from app.client.calls.servers import ServerCalls


class Api(GeneralCalls, ProfileCalls, ServerCalls, ModelCalls, DownloadCalls, KeyCalls):
    """A connection to one engine. Calls raise AppError; one object belongs to one thread."""
