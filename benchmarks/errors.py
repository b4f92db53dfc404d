"""Messages for people: one line that says where, what, what was expected and what to do."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches


class SuiteError(Exception):
    """Something in the configuration, the data or the files is not as it must be; the message is one line."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


class NotRunError(Exception):
    """A cell that cannot be computed here and now; the message is the reason, shown as `not run: ...`."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def shown(value: object) -> str:
    """The value as Python writes it, cut where it is long or deep."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 100
    return short.repr(value)


def unknown(where: str, what: str, value: object, accepted: Iterable[str]) -> SuiteError:
    """The error for a name that is not among the accepted ones, with the nearest match."""
    names = sorted(accepted)
    near = get_close_matches(str(value), names, 1, 0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return SuiteError(f"{where}: unknown {what} {shown(value)}{hint} accepted: {', '.join(names) or 'none'}")
