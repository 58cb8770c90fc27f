"""Catches up from the feed: at the start, when a gap is noticed, and now and then in case nothing came at all."""

import asyncio
import json
import logging
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from deploy.consumer.inbox import Event, Inbox

PAGE = 500
TIMEOUT_SECONDS = 30
PAUSE_SECONDS = 5.0

logger = logging.getLogger("consumer")


class CursorEndedError(Exception):
    """The sender's database was restored: the feed is to be read from its start."""


@dataclass(frozen=True)
class Feed:
    """Where it is, and what opens it."""

    url: str
    token: str

    def read(self, cursor: str) -> tuple[list[Event], str, bool]:
        """One page, where to go on, and whether there may be more. Raises CursorEndedError, OSError."""
        query = urlencode({"after": cursor, "limit": PAGE})
        request = Request(f"{self.url}/events?{query}", headers={"authorization": f"Bearer {self.token}"})  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the operator's own address
                headers = answer.headers
                return json.load(answer), headers["feed-cursor"], headers["feed-more"] == "true"
        except HTTPError as error:
            with error:
                if error.code == 400 and json.load(error).get("code") == "cursor_ended":  # noqa: PLR2004
                    raise CursorEndedError from error
            raise


class CatchUp:
    """Reads when it is asked to, and every so often by itself."""

    def __init__(self, feed: Feed, inbox: Inbox, *, every: float) -> None:
        self._feed, self._inbox, self._every = feed, inbox, every
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """There is a gap."""
        self._asked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._asked.clear()
            try:
                await self._read_all()
            except CursorEndedError:
                self._inbox.forget_cursor()
                continue
            except (OSError, HTTPException, ValueError) as error:
                logger.warning("the feed cannot be read: %s; it is tried again", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            try:
                async with asyncio.timeout(self._every):
                    await self._asked.wait()
            except TimeoutError:
                pass

    async def _read_all(self) -> None:
        more = True
        while more:
            events, cursor, more = await asyncio.to_thread(self._feed.read, self._inbox.cursor())
            self._inbox.take_page(events, cursor)
