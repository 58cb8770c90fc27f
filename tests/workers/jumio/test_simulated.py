"""Every way in which the simulator lets a workflow end, asked over HTTP and read."""

import psycopg
import pytest

from deploy.simulator.outcomes import CATALOGUE
from deploy.simulator.run import Simulator
from schemas.sealing import KeyRing
from schemas.settings import Settings
from workers.decide import decide
from workers.errors import JumioNotFoundError
from workers.jumio.client import Jumio
from workers.jumio.kyx import expired_report, read_report
from workers.jumio.token import Tokens
from workers.jumio.transport import Http


def test_every_outcome_of_the_simulator_is_asked_for_and_read(keys: KeyRing, conn: psycopg.Connection) -> None:
    http = Http()
    with Simulator() as simulator:
        tenant = Settings.load(environment=simulator.environment()).tenants["default"]
        jumio = Jumio(tenant, http, Tokens(tenant, http, keys))
        for execution in simulator.create(len(CATALOGUE), outcomes=[outcome.name for outcome in CATALOGUE]):
            ids = {"account_id": execution.account_id, "workflow_key": execution.key}
            pair = (execution.account_id, execution.key)
            try:
                report = read_report(jumio.details(conn, *pair), jumio.steps(conn, *pair), **ids)
            except JumioNotFoundError:
                report = expired_report(jumio.status(conn, *pair), **ids)

            assert decide(report).outcome == execution.expectation.outcome
            for part in report.parts:
                if part.offered:
                    assert jumio.image(conn, execution.account_id, part.credential_id, part.classifier)
        with pytest.raises(JumioNotFoundError):
            jumio.image(conn, execution.account_id, execution.account_id, "FRONT")
    http.close()
