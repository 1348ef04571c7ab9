"""Sentences about the lines of a file; where there are many, those of one kind together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from lib.formatting import plural

MANY, QUOTED = 20, 3  # findings that are listed one by one; values that are quoted of one kind


@dataclass
class Findings:
    found: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str, value: str = "") -> None:
        self.found.append((line, sentence, value))

    @property
    def line_count(self) -> int:
        return len({line for line, _, _ in self.found})

    @property
    def by_line(self) -> list[tuple[str, str]]:
        return [(f"Line {line}", sentence + _quoted([value])) for line, sentence, value in sorted(self.found)]

    @property
    def summary(self) -> list[tuple[str, str]]:
        """The same; of many, each sentence once with all its lines and some of its values."""
        if len(self.found) <= MANY:
            return self.by_line
        kinds: dict[str, dict[int, str]] = {}
        for line, sentence, value in sorted(self.found):
            kinds.setdefault(sentence, {})[line] = value
        return [(_line_ranges(list(at)), sentence + _quoted(at.values())) for sentence, at in kinds.items()]


def quote(value: str) -> str:
    """The value's beginning in quotation marks, with invisible characters replaced; empty where there is none."""
    seen = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value)
    return f"“{seen[:40]}{'…' if len(seen) > 40 else ''}”" if value else ""


def _line_ranges(lines: list[int]) -> str:
    runs = [[line for _, line in run] for _, run in groupby(enumerate(lines), lambda pair: pair[1] - pair[0])]
    ranges = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"{'Line' if len(lines) == 1 else 'Lines'} {_join(ranges)}"


def _quoted(values: Iterable[str]) -> str:
    different = [value for value in dict.fromkeys(values) if value]
    shown, rest = different[:QUOTED], len(different) - QUOTED
    return f" Found: {_join([*shown, plural(rest, 'other')] if rest > 0 else shown)}." if shown else ""


def _join(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
