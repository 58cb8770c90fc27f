"""RETENTION_FILE -> the rules: how long each class of data is kept, and from when that counts."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# In the order in which they are deleted: the workflow itself last, because it takes all that is left along.
CLASSES = ("biometric_images", "document_images", "identities", "raw", "events", "verdicts")
AUDIT = "audit"
CLOCKS = ("received", "decided", "completed", "relationship-ended")
FOR_EVER = "for ever"
# A clock that jumps makes everything due at once; a day of steady work seldom makes more than this due.
MOST_SHARE = 0.01
_KEEP = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")
_MONTHS = {"day": 0, "month": 1, "year": 12}


class PolicyError(Exception):
    """The policy cannot be followed; each line says what to change."""


@dataclass(frozen=True)
class Rule:
    """One class: `keep` in words that Postgres reads as an interval, counted from `clock`."""

    name: str
    keep: str
    clock: str
    most_share: float

    def may_end_before(self, other: "Rule") -> bool:
        """Whether it does in some year, where both count from the same day."""
        own, others = _months(self.keep), _months(other.keep)
        return own < others if own and others else _days(self.keep)[0] < _days(other.keep)[1]


def read_policy(path: Path) -> list[Rule]:
    """The rules, in the order in which they are followed. A class that is left out is kept. Raises PolicyError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path} is not TOML: {error}") from None
    share = tables.pop("most_share", MOST_SHARE)
    problems = [*_problems(tables), *_share_problems("most_share", share)]
    if not tables:
        problems.append(f"{path} says nothing of any class; there are: {', '.join((*CLASSES, AUDIT))}")
    if problems:
        raise PolicyError("\n".join(problems))
    rules = [
        Rule(name, tables[name]["keep"], tables[name]["clock"], float(tables[name].get("most_share", share)))
        for name in CLASSES
        if name in tables and tables[name]["keep"] != FOR_EVER
    ]
    problems = list(_too_short(rules, tables))
    if problems:
        raise PolicyError("\n".join(problems))
    return rules


def _problems(tables: Mapping[str, Any]) -> Iterator[str]:
    for name, table in tables.items():
        if name not in {*CLASSES, AUDIT} or not isinstance(table, dict):
            yield f"{name}: there is no such class; there are: {', '.join((*CLASSES, AUDIT))}"
            continue
        keep, clock = table.get("keep"), table.get("clock")
        if unknown := sorted(table.keys() - {"keep", "clock", "most_share"}):
            yield f"{name}: {', '.join(unknown)}: there are keep, clock and most_share"
        if name == AUDIT:
            if "most_share" in table:
                yield f"{name}: most_share: nothing goes of it; the share of all stands before the first [class]"
            if keep != FOR_EVER:
                yield f'{name}: keep can only be "{FOR_EVER}": a trail that loses rows proves nothing'
        elif keep != FOR_EVER and not (isinstance(keep, str) and _KEEP.fullmatch(keep)):
            yield f'{name}: keep is like "90 days", "18 months", "5 years" or "{FOR_EVER}"'
        elif keep != FOR_EVER and clock not in CLOCKS:
            yield f"{name}: clock is one of {', '.join(CLOCKS)}"
        yield from _share_problems(f"{name}: most_share", table.get("most_share", MOST_SHARE))


def _share_problems(name: str, share: object) -> Iterator[str]:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        yield f"{name} is a share of all rows, above 0 and at most 1, like 0.01"


def _too_short(rules: list[Rule], tables: Mapping[str, Any]) -> Iterator[str]:
    """The class `verdicts` is the workflow itself, with all that is left of it.

    Which clock is the later one does not matter: it is not counted from before the last that came (pipeline.retained).
    """
    by_name = {rule.name: rule for rule in rules}
    verdicts = by_name.get("verdicts")
    if verdicts is None:
        return
    for name in CLASSES[:-1]:
        rule = by_name.get(name)
        if rule is None and name in tables:
            yield f'verdicts: takes {name} along, which are kept "{FOR_EVER}"'
        elif rule is None:
            yield (
                f'verdicts: takes {name} along, of which the policy says nothing: say how long, or "{FOR_EVER}"; '
                "then verdicts may not end either"
            )
        elif verdicts.may_end_before(rule) or (rule.clock == CLOCKS[-1] != verdicts.clock):
            yield f"verdicts: takes {name} along, which are kept longer: keep and clock may not end before theirs"


def _months(keep: str) -> int:
    """0 where it is in days: how many those are differs from month to month."""
    found = _KEEP.fullmatch(keep)
    return int(found[1]) * _MONTHS[found[2]] if found else 0


def _days(keep: str) -> tuple[int, int]:
    """The fewest and the most."""
    years, months = divmod(_months(keep), 12)
    found = _KEEP.fullmatch(keep)
    days = int(found[1]) if found and not (years or months) else 0
    return 365 * years + 28 * months + days, 366 * years + 31 * months + days
