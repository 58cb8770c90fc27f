"""What the simulator expects of the older generations is what the product's own table says, image by image."""

from datetime import UTC, datetime

import pytest

from deploy.simulator.legacy import LegacyTransaction
from deploy.simulator.legacy_outcomes import LEGACY, FamilyName
from deploy.simulator.run import Simulator
from schemas.callbacks.recognise import LEGACY as READERS
from schemas.callbacks.recognise import read_callback
from schemas.report import Report
from tests.deploy.simulator_client import Client
from workers.decide import decide, reconcile


def shown(client: Client, transaction: LegacyTransaction) -> Report:
    reader = READERS[transaction.family]
    answers = {name: client.v2(path.lstrip("/")) for name, path in reader.reads(transaction.key).items()}
    found = {name: answer.content if answer.is_success else None for name, answer in answers.items()}
    return reader.report(found, transaction.key)


@pytest.mark.parametrize("family", LEGACY)
def test_the_product_concludes_what_is_expected(family: FamilyName) -> None:
    with Simulator(seed="agreement") as simulator, Client(simulator) as client:
        for each in simulator.create_legacy(family, 4 * len(LEGACY[family])):
            callback = read_callback(each.callback(each.status, datetime.now(UTC)))
            assert callback.told is not None
            assert decide(callback.told, "callback").outcome == each.expectation.outcome

            for faults in (set[str](), {"contradiction"} if each.suffers("contradiction") else set[str]()):
                each.befall(faults)
                report, expected = shown(client, each), each.expectation
                verdict = reconcile(callback.told, report)
                assert (callback.workflow_key, verdict.outcome, verdict.label) == (
                    each.key,
                    expected.outcome,
                    expected.label,
                )
                assert {(reason.check, reason.label) for reason in verdict.reasons} == set(expected.failed_checks)
                assert sum(part.offered for part in report.parts) == expected.images
                assert report.oddities == ()
