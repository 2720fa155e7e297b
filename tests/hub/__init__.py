"""A stand-in for the Hugging Face hub on loopback, with faults on request and an exact byte log.

Standard library only. It speaks what `huggingface_hub` needs to search and download models. Two
listeners, as in the real hub: `url` answers the API and `resolve`, and `cdn_url`, another origin
that must never see a token, serves the large files.
"""

from hub.blobs import SyntheticBlob, safetensors_blob
from hub.demo import tiny_llama
from hub.faults import Fault, rate_limited
from hub.server import StandInHub

__all__ = [
    "Fault",
    "StandInHub",
    "SyntheticBlob",
    "rate_limited",
    "safetensors_blob",
    "tiny_llama",
]
