"""The worker's mode `download`: fetches models from the hub into its cache, and never twice."""
