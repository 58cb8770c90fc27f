"""The page to read first: one HTML file that needs nothing else, and prints on paper."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from deploy.bundle.contents import Evidence
from workers import store

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evidence: {title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src 'self'">
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.4rem; margin: 0 }}
h2 {{ font-size: 1rem; margin: 1.4rem 0 .3rem; border-bottom: 1px solid #bbb }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0 }}
th {{ font-weight: 600; white-space: nowrap; width: 11rem }}
td {{ overflow-wrap: anywhere }}
p {{ margin: .3rem 0 }}
.outcome {{ font-size: 1.1rem; font-weight: 600 }}
footer {{ margin-top: 1.5rem; color: #555; font-size: .85rem }}
@page {{ margin: 15mm }}
@media print {{ body {{ margin: 0; max-width: none; font-size: 11px }} tr {{ break-inside: avoid }} }}
</style></head><body>
<h1>Evidence of one verification</h1>
<p>{title}</p>
<p class="outcome">{outcome}</p>
{sections}
<footer>Read from the database at {made}. Files beside this page hold all of it; VERIFY.txt says how to check that none
was changed.</footer>
</body></html>
"""
_IDENTITY = (
    "document_type",
    "issuing_country",
    "issuing_state",
    "first_name",
    "last_name",
    "date_of_birth",
    "document_number",
    "issuing_date",
    "expiry_date",
)
_REFERENCES = (
    "account_id",
    "user_reference",
    "customer_reference",
    "status",
    "started_at",
    "completed_at",
    "risk_score",
)


def summary(evidence: Evidence, *, made: datetime) -> bytes:
    """Everything in it is escaped: names come from strangers."""
    workflow = evidence.workflow
    latest = evidence.verdicts[-1] if evidence.verdicts else {}
    read = [row for row in evidence.identities if row["report_id"] == latest.get("report_id")]
    sections = [
        _section("Transaction", _pairs(workflow, _REFERENCES)),
        *(_section("Identity as read from the document", _pairs(row, _IDENTITY)) for row in read),
        _section("What spoke against it", _table(_reasons(latest))),
        _section("Checks", _table(_check(each) for each in latest.get("checks", []))),
        _section("Verdicts", _table(_verdict(row) for row in evidence.verdicts)),
        _section("Images", _table(_image(row) for row in evidence.images)),
        _section("What happened", _table((row["at"], row["words"]) for row in evidence.timeline)),
        _section("What is not in this bundle", _table([each] for each in evidence.absent)),
    ]
    page = _PAGE.format(
        title=escape(" / ".join(evidence.key[name] for name in ("tenant", "family", "workflow_key"))),
        outcome=escape(f"{workflow.get('outcome', 'no verdict')} ({workflow.get('label') or 'no word of Jumio yet'})"),
        sections="\n".join(section for section in sections if section),
        made=_moment(made),
    )
    return page.encode()


def _reasons(verdict: store.Row) -> list[Sequence[object]]:
    return [(each["check"], each["label"], each.get("details")) for each in verdict.get("reasons", [])]


def _verdict(row: store.Row) -> Sequence[object]:
    return (row["version"], row["outcome"], row["label"], _moment(row["recorded_at"]), f"rests on {row['rests_on']}")


def _check(row: store.Row) -> Sequence[object]:
    return (row["capability"], row["outcome"], row["label"])


def _image(row: store.Row) -> Sequence[object]:
    return (row["classifier"], row["state"], row["file"], row["sha256"])


def _section(heading: str, table: str) -> str:
    return f"<h2>{escape(heading)}</h2>\n{table}" if table else ""


def _pairs(row: store.Row, names: Sequence[str]) -> str:
    said = ((name.replace("_", " "), row[name]) for name in names if row.get(name) is not None)
    return _table(said, first="th")


def _table(rows: Iterable[Sequence[object]], *, first: str = "td") -> str:
    lines = "".join(_row(row, first=first) for row in rows)
    return f"<table>{lines}</table>" if lines else ""


def _row(cells: Sequence[object], *, first: str) -> str:
    marks = [first, *["td"] * (len(cells) - 1)]
    return "<tr>" + "".join(f"<{m}>{_text(cell)}</{m}>" for m, cell in zip(marks, cells, strict=True)) + "</tr>"


def _text(value: object) -> str:
    return "" if value in (None, [], {}) else _moment(value) if isinstance(value, datetime) else escape(str(value))


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
