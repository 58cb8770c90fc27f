"""The rounds: one fault or two at once, in an order that the seed decides, under steady load; then all is compared."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.crash_proof import network_faults, process_faults, store_faults, world_faults
from tests.crash_proof.availability import lacking
from tests.crash_proof.compare import SETTLE_SECONDS, Found, Problem, look, problems, settle
from tests.crash_proof.faults import FAULTS, Fault
from tests.crash_proof.ledger import ALREADY_DOWN, Ledger
from tests.crash_proof.line import Line, running_line
from tests.crash_proof.load import Load

# Importing them is what fills the table.
__all__ = ["network_faults", "process_faults", "store_faults", "world_faults"]

# Longer than the deadline of an answer (2.5 s) would leave room for fewer rounds; shorter would spare the receivers.
_FAULT_SECONDS = (0.5, 3.0)
_RECOVERY_SECONDS = (0.5, 2.5)
# Every so many rounds two faults come at once.
_DOUBLE_EVERY = 4

Round = tuple[Fault, ...]


@dataclass(frozen=True)
class Played:
    """What was done and what came of it."""

    seed: int
    ledger: Ledger
    injected: Counter[str]
    impossible: dict[str, str]
    found: Found
    problems: list[Problem]
    settled_in: float
    restarts: dict[str, int]
    cuts: int


def play(
    *,
    rounds: int,
    seed: int,
    rate: float,
    logs: Path,
    names: Sequence[str] = (),
    worker_processes: int = 4,
    settle_seconds: float = SETTLE_SECONDS,
    say: Callable[[str], None] = lambda _line: None,
) -> Played:
    """`logs`: a folder for those of our processes. `names`: these faults, in this order, instead of all."""
    with running_line(seed=seed, logs=logs, worker_processes=worker_processes) as line:
        ledger = Ledger()
        load = Load(line.simulator, line.urls, ledger, rate=rate, seed=seed)
        impossible = {each.name: why for each in FAULTS.values() if (why := each.obstacle(line))}
        possible = [each for each in FAULTS.values() if each.name not in impossible]
        chosen = [(FAULTS[name],) for name in names if name not in impossible]
        injected: Counter[str] = Counter()

        load.start()
        try:
            random = Random(seed)
            for number, struck in enumerate(chosen or shuffled(possible, rounds, random), 1):
                say(f"{number:4}  {' + '.join(each.name for each in struck)}")
                injected.update(each.name for each in struck)
                _strike(line, ledger, struck, random)
                load.check()
        finally:
            load.stop()

        line.heal()
        settled_in = settle(line, settle_seconds)
        found = look(line)
        restarts = {name: process.restarts for name, process in line.processes.items()}
        wrong = [*problems(found, ledger, load.transactions), *lacking(ledger.entries)]
        return Played(seed, ledger, injected, impossible, found, wrong, settled_in, restarts, line.cuts)


def shuffled(faults: Sequence[Fault], rounds: int, random: Random) -> Iterator[Round]:
    """Every fault once before any comes again."""
    pool: list[Fault] = []
    for number in range(1, rounds + 1):
        pool = pool or random.sample(faults, len(faults))
        first = pool.pop()
        others = [each for each in faults if not each.touches & first.touches]
        yield (first, random.choice(others)) if number % _DOUBLE_EVERY == 0 else (first,)


def _strike(line: Line, ledger: Ledger, struck: Round, random: Random) -> None:
    already = () if line.receives() else (ALREADY_DOWN,)
    with ledger.during((*(each.name for each in struck), *already)):
        with ExitStack() as faults:
            for each in struck:
                faults.enter_context(each.befall(line, random))
            line.watch(random.uniform(*_FAULT_SECONDS))
        line.watch(random.uniform(*_RECOVERY_SECONDS))
