"""Match paths against glob patterns, and choose files by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from dicomframe.errors import InvalidOptionError

__all__ = ["Selection", "check_patterns", "has_magic", "match_or_below", "segment_pattern"]

_MAGIC = re.compile(r"[*?[]")
_CLASS = re.compile(r"\[!?\]?[^]]*\]")
_BELOW = r"(?:/.*)?"


class Selection:
    """Choose files by patterns of their paths, told from the root of the listing on.

    Parameters
    ----------
    include, exclude
        What `check_patterns` returned. A pattern without a slash fits a name, any other one a
        whole path; one that ends with a slash fits folders only, and all below them. What
        `exclude` fits is left out, a folder with all below it; if there is any `include`, a
        file must fit one.
    """

    __slots__ = ("_exclude", "_include")

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _compile(map(_to_include, include))
        self._exclude = _compile(map(_to_exclude, exclude))

    def __bool__(self) -> bool:
        return self._include is not None or self._exclude is not None

    def keeps(self, path: str) -> bool:
        """Tell whether a file is wanted.

        >>> Selection(["*.dcm"], [".*"]).keeps(".trash/a.dcm")
        False
        """
        if self._exclude is not None and self._exclude.fullmatch(path):
            return False
        return self._include is None or self._include.fullmatch(path) is not None

    def enters(self, folder: str) -> bool:
        """Tell whether anything below a folder can be wanted."""
        return self._exclude is None or self._exclude.fullmatch(f"{folder}/") is None


def check_patterns(name: str, patterns: object) -> tuple[str, ...]:
    """Return the patterns of the option `name`: None, a str or a list of them.

    Raises
    ------
    InvalidOptionError
        It is none of these, or a pattern is empty.
    """
    if patterns is None:
        return ()
    several = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(several, list | tuple) or not all(isinstance(each, str) for each in several):
        raise InvalidOptionError(
            f"{name} must be a glob pattern or a list of them, found {patterns!r}"
        )
    if not all(each.strip("/") for each in several):
        raise InvalidOptionError(
            f"{name} must hold no empty pattern, found {patterns!r}; "
            "a pattern is like '*.dcm', '.*' or 'study-1/**'"
        )
    return tuple(several)


def has_magic(path: str) -> bool:
    """Tell whether a path can be a glob."""
    return _MAGIC.search(path) is not None


def segment_pattern(segment: str) -> str:
    """Return the regular expression of a glob for one name: nothing in it crosses a slash.

    >>> segment_pattern("IM[0-9]*")
    'IM(?!/)[0-9][^/]*'
    """
    parts, at = [], 0
    while at < len(segment):
        if segment[at] == "*":
            parts.append("[^/]*")
        elif segment[at] == "?":
            parts.append("[^/]")
        elif segment[at] == "[" and (found := _CLASS.match(segment, at)):
            parts.append(f"(?!/){translate(found[0])[4:-3]}")
            at = found.end()
            continue
        else:
            parts.append(re.escape(segment[at]))
        at += 1
    return "".join(parts)


def match_or_below(segments: Sequence[str]) -> re.Pattern[str]:
    """Return the expression of all paths that a glob fits, and of all below them.

    A segment that is a class and no wildcard, such as ``[1]``, fits its own text too.
    """
    return re.compile(_path_pattern(segments, literal=True) + _BELOW, re.DOTALL)


def _path_pattern(segments: Sequence[str], *, literal: bool = False) -> str:
    """Return the expression of a whole path; ``**`` stands for any number of folders."""
    *folders, last = segments
    parts = [
        "(?:.*/)?" if folder == "**" else f"{_either(folder, literal=literal)}/"
        for folder in folders
    ]
    return "".join(parts) + (".*" if last == "**" else _either(last, literal=literal))


def _either(segment: str, *, literal: bool) -> str:
    if literal and "[" in segment and "*" not in segment and "?" not in segment:
        return f"(?:{re.escape(segment)}|{segment_pattern(segment)})"
    return segment_pattern(segment)


def _place(pattern: str) -> str:
    bare = pattern.rstrip("/")
    anywhere = "" if "/" in bare else "(?:.*/)?"
    return anywhere + _path_pattern(bare.removeprefix("/").split("/"))


def _to_include(pattern: str) -> str:
    return f"{_place(pattern)}/.*" if pattern.endswith("/") else _place(pattern)


def _to_exclude(pattern: str) -> str:
    return f"{_place(pattern)}/.*" if pattern.endswith("/") else _place(pattern) + _BELOW


def _compile(patterns: Iterable[str]) -> re.Pattern[str] | None:
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    return re.compile(joined, re.DOTALL) if joined else None
