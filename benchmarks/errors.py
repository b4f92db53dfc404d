"""Messages for people: one line that says where, what, what was expected and what to do."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches

MOST_LISTED = 150  # accepted names that a message lists


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


def joined(text: str, names: Iterable[str]) -> list[str]:
    """The names of which a text consists, with at most a sign between two; empty where it is not two names or more."""
    for name in sorted(names, key=len, reverse=True):
        if text.startswith(name) and text != name:
            rest = text[len(name) :].lstrip(";:|/+&_.")
            if rest in names:
                return [name, rest]
            if more := joined(rest, names):
                return [name, *more]
    return []


def unknown(where: str, what: str, value: object, accepted: Iterable[str]) -> SuiteError:
    """The error for a name that is not among the accepted ones, with the nearest match."""
    names = sorted(accepted)
    near = get_close_matches(str(value), names, 1, 0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if together := joined(str(value), names):
        hint = f"; did you mean {' and '.join(map(repr, together))}? Write a comma between them;"
    listed = names if len(names) <= MOST_LISTED else get_close_matches(str(value), names, 10, 0.0)
    which = "" if listed is names else f"{len(names)} names, of which the nearest are "
    return SuiteError(f"{where}: unknown {what} {shown(value)}{hint} accepted: {which}{', '.join(listed) or 'none'}")
