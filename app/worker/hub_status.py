"""What a hub means by an answer without a reason, in words for people."""

_BUSY = (502, 503, 504)


def trouble(status: int) -> str:
    """Return what is the matter, to go on after “The hub”; the number itself is for the log."""
    if status in _BUSY:
        return "is overloaded or under maintenance"
    if status == 408:
        return "took too long to answer"
    return "has an error of its own" if status >= 500 else "refuses the request"
