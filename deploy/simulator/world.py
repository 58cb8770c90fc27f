"""What this Jumio holds: transactions of every family, tokens, faults, and a memory of who asked what."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from deploy.simulator.family import Transaction
from deploy.simulator.faults import Faults
from deploy.simulator.stats import Stats
from deploy.simulator.status_page import StatusPage
from deploy.simulator.tokens import Basic, Tokens


class World:
    """One customer's; shared by the endpoints of all families."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        legacy: Basic,
        faults: Faults,
        page: StatusPage,
        region: str = "amer-1",
        rate_limit: int | None = None,
        legacy_rate_limit: int | None = None,
    ) -> None:
        self.tokens, self.legacy, self.faults, self.page, self.region = tokens, legacy, faults, page, region
        self.rate_limit, self.legacy_rate_limit = rate_limit, legacy_rate_limit
        self.stats = Stats()
        # A migrated workflow has the reference of an old scan as its id (callback guide), so the account tells apart.
        self._transactions: dict[tuple[str, str], Transaction] = {}
        self._of_credential: dict[str, str] = {}
        self._read: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def add(self, transactions: Iterable[Transaction]) -> None:
        for each in transactions:
            self._transactions[each.account_id, each.key] = each
            self._of_credential.update(dict.fromkeys(each.credentials, each.key))

    def find(self, account_id: str, key: str) -> Transaction | None:
        """Nothing is found under an account that is not its own; the older generations have none."""
        return self._transactions.get((account_id, key))

    def find_by_credential(self, account_id: str, credential_id: str) -> Transaction | None:
        return self.find(account_id, self._of_credential.get(credential_id, ""))

    def forget(self, transaction: Transaction) -> None:
        self._transactions.pop((transaction.account_id, transaction.key), None)

    def forget_account(self, account_id: str) -> bool:
        gone = [each for each in self._transactions.values() if each.account_id == account_id]
        for each in gone:
            self.forget(each)
        return bool(gone)

    def note_read(self, key: str) -> None:
        """Its result was read; only from the loop in which `read` waits."""
        self._read[key].set()

    async def read(self, key: str) -> None:
        await self._read[key].wait()
