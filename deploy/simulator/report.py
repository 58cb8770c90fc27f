"""What was played: the callbacks with their answers, and what should have come of each workflow."""

from dataclasses import asdict, dataclass
from typing import Any

from deploy.simulator.caller import Sent
from deploy.simulator.family import Expectation


@dataclass(frozen=True)
class Played:
    """`expectation` is the last word; `revised_from` the first one, where the result was corrected."""

    family: str
    key: str
    account_id: str
    user_reference: str
    customer_reference: str
    expectation: Expectation
    faults: tuple[str, ...]
    revised_from: Expectation | None = None


@dataclass(frozen=True)
class Report:
    sent: tuple[Sent, ...]
    workflows: tuple[Played, ...]
    seconds: float

    @property
    def not_kept(self) -> tuple[Sent, ...]:
        """Genuine callbacks that were not answered 200: as good as lost."""
        return tuple(each for each in self.sent if not each.kept and not each.post.forged)

    @property
    def forged_kept(self) -> tuple[Sent, ...]:
        """Forged callbacks that were let in."""
        return tuple(each for each in self.sent if each.kept and each.post.forged)

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file: references and expectations, no bodies."""
        return {
            "seconds": round(self.seconds, 3),
            "not_kept": len(self.not_kept),
            "forged_kept": len(self.forged_kept),
            "sent": [
                {
                    "key": each.post.key,
                    "status": each.post.status,
                    "source": each.post.source,
                    "forged": each.post.forged,
                    "answer": each.answer,
                    "error": each.error,
                    "seconds": round(each.seconds, 4),
                }
                for each in self.sent
            ],
            "workflows": [asdict(each) for each in self.workflows],
        }
