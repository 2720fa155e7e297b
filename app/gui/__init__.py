"""The only package that knows Qt: windows, tiles and the mirror of one engine."""
