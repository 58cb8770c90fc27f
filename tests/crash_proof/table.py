"""What a run prints."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.crash_proof.availability import ENOUGH, measured
from tests.crash_proof.faults import FAULTS
from tests.crash_proof.ledger import QUIET, Tally
from tests.crash_proof.play import Played

# Of each promise so many are shown in full.
_SHOWN = 10
_FEW = f" (fewer than {ENOUGH:,}: `make availability` asks for more)"


def show(console: Console, played: Played) -> None:
    """Every fault with its answers, the totals, and what is wrong."""
    console.print(_faults(played))
    console.print(_totals(played))
    for share, tally in measured(played.ledger.entries):
        got = f"{tally.acknowledged} of {tally.sent} acknowledged, {tally.availability:.3%}"
        console.print(f"{share.name}: {got}; at least {share.least:.1%}{'' if tally.sent >= ENOUGH else _FEW}")
    _show_problems(console, played)


def _faults(played: Played) -> Table:
    table = Table("fault", "times", "sent", "200", "503", "none", box=None, pad_edge=False)
    for name in (*FAULTS, *QUIET):
        if name in played.impossible:
            table.add_row(name, "0", f"not possible here: {played.impossible[name]}")
            continue
        tally = played.ledger.tally_of(name)
        if tally.sent:
            table.add_row(name, str(played.injected[name] or ""), *_cells(tally))
    table.add_row("in all", str(sum(played.injected.values())), *_cells(played.ledger.tally()), style="bold")
    return table


def _cells(tally: Tally) -> tuple[str, ...]:
    return tuple(str(count or "") for count in (tally.sent, tally.acknowledged, tally.refused, tally.unanswered))


def _totals(played: Played) -> Table:
    found, ledger = played.found, played.ledger
    tally = ledger.tally()
    ids = {each.event["id"] for each in found.received}
    lost = sum(problem.promise == "acknowledged is kept" for problem in played.problems)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("acknowledged", f"{tally.acknowledged} callbacks of {len(ledger.owed())} workflows")
    table.add_row("kept", f"{len(found.callbacks)}: {lost} lost")
    decided = {row["workflow_key"] for row in found.verdicts}
    table.add_row("verdicts", f"{len(found.verdicts)} of {len(decided)} workflows")
    table.add_row("events", f"{len(found.events)}, {len(ids)} delivered, {len(found.received)} deliveries")
    table.add_row("stuck", f"{len(found.unfinished) + len(found.spooled)} after {played.settled_in:.0f} s")
    table.add_row("started anew", ", ".join(f"{name} {count}" for name, count in played.restarts.items()))
    table.add_row("connections cut", f"{played.cuts} at chosen bytes")
    table.add_row("seed", str(played.seed))
    return table


def _show_problems(console: Console, played: Played) -> None:
    for promise, count in Counter(problem.promise for problem in played.problems).items():
        console.print(f"broken: {promise}: {count}", style="red")
        for problem in [each for each in played.problems if each.promise == promise][:_SHOWN]:
            console.print(f"  {problem.about}  {problem.detail}", markup=False, highlight=False, soft_wrap=True)
    verdict = "Not all" if played.problems else "All"
    console.print(f"{verdict} that was acknowledged is kept, decided once and delivered.")
