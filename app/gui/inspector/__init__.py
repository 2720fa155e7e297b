"""The third column: everything about one model or one server."""
