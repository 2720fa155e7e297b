"""List models and filter proxies over the mirror."""
