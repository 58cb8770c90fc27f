"""All of Jumio's words, and what each comes to: deploy/verdicts.md."""

import sys
from collections.abc import Iterator

from schemas.callbacks import kyx
from schemas.callbacks.recognise import FORM_FAMILIES
from schemas.verdict import Row

_INTRODUCTION = """# Verdicts

What Jumio's words come to. Made by `python -m schemas.callbacks.vocabulary > deploy/verdicts.md`; a test compares
the two.

- The label of a verdict is Jumio's own word: the decision's label in KYX, the status elsewhere.
- What a callback of the older generations told is compared with what the retrieval API says. A difference is a
  `warning` with the label `CONTRADICTION` and both words as its reasons, unless Jumio says that it changed the result
  after that callback, or only the retrieval API knows the check that raises a doubt.
- Without legacy credentials the callback decides alone, and the verdict says that it rests on it.
- Nothing is `passed` without Jumio's own word that it verified something.

"""


def vocabulary() -> Iterator[Row]:
    """Every word of every family."""
    yield from kyx.vocabulary()
    for family in FORM_FAMILIES:
        yield from family.vocabulary()


def render() -> str:
    """The text of deploy/verdicts.md."""
    lines = [
        "| family | Jumio says | with | verdict | why |",
        "|---|---|---|---|---|",
        *(
            f"| {row.family} | {row.said} | {row.besides} | {row.outcome or 'none yet'} | {row.remark} |"
            for row in vocabulary()
        ),
    ]
    return _INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
