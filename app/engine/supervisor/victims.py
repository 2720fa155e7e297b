"""Which servers to stop so that another one fits: pure choices over what each of them holds."""

from collections.abc import Callable, Mapping

Fits = Callable[[int], bool]
"""Says whether it fits when so many bytes come free."""


def least_recent(held: Mapping[str, int], fits: Fits) -> tuple[str, ...]:
    """Return whom to stop, those first that have not been used for longest; () if none help.

    held: the bytes of each, the least recently used first. Whoever need not go is left out.
    """
    chosen: list[str] = []
    for name in held:
        chosen.append(name)
        if fits(_sum(held, chosen)):
            break
    else:
        return ()
    for name in reversed(tuple(chosen)):
        fewer = [other for other in chosen if other != name]
        if fits(_sum(held, fewer)):
            chosen = fewer
    return tuple(chosen)


def fewest(held: Mapping[str, int], fits: Fits) -> tuple[str, ...]:
    """Return the smallest set whose stop helps, of equal ones the least recently used; () if none.

    held: the bytes of each, the least recently used first.
    """
    sizes = sorted(held.values(), reverse=True)
    counts = (n for n in range(1, len(sizes) + 1) if fits(sum(sizes[:n])))
    count = next(counts, 0)
    chosen: list[str] = []
    names = list(held)
    for place, name in enumerate(names):
        if len(chosen) == count:
            break
        left = count - len(chosen) - 1
        later = sorted((held[other] for other in names[place + 1 :]), reverse=True)[:left]
        # Only whoever still lets the set be this small: the largest ones left must do the rest.
        if len(later) == left and fits(_sum(held, [*chosen, name]) + sum(later)):
            chosen.append(name)
    return tuple(chosen)


def _sum(held: Mapping[str, int], names: list[str]) -> int:
    return sum(held[name] for name in names)
