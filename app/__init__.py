"""MLX Model Manager: find, download and serve local language models on Apple silicon."""

__version__ = "0.1.0"
