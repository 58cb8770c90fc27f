"""Which callbacks one transaction sends, from where and in which order, given its faults."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus, urlencode

from deploy.simulator.caller import Post
from deploy.simulator.dice import dice
from deploy.simulator.family import Transaction
from deploy.simulator.legacy import FORM
from deploy.simulator.zone import OUTSIDER

# Between two statuses of one transaction, as their callbackSentAt tells it; the posts themselves follow at once.
STAGE_GAP = timedelta(seconds=40)
# A redelivery of Jumio's own making shows a later callbackSentAt.
REDELIVERY_GAP = timedelta(seconds=2)


def plan(
    transaction: Transaction,
    faults: Collection[str],
    sources: Sequence[str],
    *,
    late_seconds: float = 0.0,
    intermediate: bool = False,
) -> list[Post]:
    final = final_post(transaction, sources)
    stages = _stage_posts(transaction, final)
    posts = [final]
    if "out_of_order" in faults:
        posts = [final, *reversed(stages)]
    elif intermediate:
        posts = [*stages, final]
    if "duplicate" in faults:
        posts += [final, _redelivered(transaction, final)]
    if "wrong_source" in faults:
        posts.insert(0, replace(final, source=OUTSIDER, forged=True))
    if "late" in faults:
        posts[0] = replace(posts[0], after=late_seconds)
    return [_encoded(post, faults) for post in posts]


def corrected_post(transaction: Transaction, faults: Collection[str], sources: Sequence[str]) -> Post:
    """What is sent once the result has changed."""
    return _encoded(final_post(transaction, sources), faults)


def _encoded(post: Post, faults: Collection[str]) -> Post:
    """As in 2021 (callback guide): JSON that only calls itself a form, or is encoded as one, whole or by members."""
    if "old_encoding" not in faults:
        return post
    members = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(post.body).items()
    }
    forms = (post.body, quote_plus(post.body).encode(), urlencode(members).encode())
    return replace(post, media_type=FORM, body=dice("encoding", post.key).choice(forms))


def final_post(transaction: Transaction, sources: Sequence[str]) -> Post:
    now = datetime.now(UTC)
    source = dice("source", transaction.key).choice(sources)
    body = transaction.callback(transaction.status, now)
    return Post(transaction.key, transaction.status, body, transaction.media_type, source, now)


def _stage_posts(transaction: Transaction, final: Post) -> list[Post]:
    """With the times at which they were true, whenever they are sent."""
    count = len(transaction.stages)
    moments = (final.sent_at - STAGE_GAP * (count - place) for place in range(count))
    return [
        replace(final, status=status, sent_at=moment, body=transaction.callback(status, moment))
        for status, moment in zip(transaction.stages, moments, strict=True)
    ]


def _redelivered(transaction: Transaction, final: Post) -> Post:
    moment = final.sent_at + REDELIVERY_GAP
    return replace(final, sent_at=moment, body=transaction.callback(final.status, moment))
