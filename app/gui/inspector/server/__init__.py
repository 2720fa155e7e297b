"""The page of one server: figures, requests, log, a try-out, and how to connect to it."""
