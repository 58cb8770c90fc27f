"""Two kinds of failure: worth another try, or park it. A docstring is the meaning, arguments are what was seen."""


class LineError(Exception):
    """Something on the line did not go as it should; never holds personal data."""

    # The word before the colon in last_error: what `requeue --reason` and the runbook know it by.
    code = "line"
    # What an operator can do about it once it has been given up.
    advice = ""

    def __str__(self) -> str:
        return f"{self.code}: {'; '.join(str(seen) for seen in self.args) or type(self).__doc__}"


class TryAgainError(LineError):
    """The other side was busy, slow or away."""

    code = "try_again"

    @property
    def retry_after(self) -> float | None:
        """Seconds that the other side asked for, if it did: the one argument that is a float."""
        return next((seen for seen in self.args if isinstance(seen, float)), None)


class WaitError(TryAgainError):
    """Not this row's turn yet: it waits, and the attempt does not count."""

    code = "wait"


class ParkError(LineError):
    """Another try would end the same; an operator has to do something first."""

    code = "park"


class JumioAwayError(TryAgainError):
    """Jumio did not answer, or answered 429 or 5xx."""

    code = "jumio_away"
    advice = "see Jumio's status page; when it is well again: jumio-pipeline requeue --parked --reason jumio_away"


class JumioNotReadyError(TryAgainError):
    """Jumio said that the workflow is done, but does not show its result yet."""

    code = "jumio_not_ready"
    advice = "look the workflow up in Jumio's portal; once it is done: jumio-pipeline requeue --parked"


class JumioNotFoundError(TryAgainError):
    """Jumio knows nothing under this id (yet): not ready, deleted, aged out, or another customer's."""

    code = "jumio_not_found"
    advice = (
        "deleted, aged out, or another customer's: look it up in Jumio's portal, check JUMIO_REGION and the client id; "
        "if it is there: jumio-pipeline requeue --parked --reason jumio_not_found"
    )


class JumioAnswerError(TryAgainError):
    """Jumio's answer was cut off, too large or not what it should be."""

    code = "jumio_answer"
    advice = "something between us and Jumio changes its answers; then: jumio-pipeline requeue --parked"


class TooLargeError(ParkError):
    """What Jumio sends is larger than what is kept."""

    code = "too_large"
    advice = "it is not stored; look at it in Jumio's portal"


class WithheldError(ParkError):
    """Jumio does not give this image to credentials that it accepts otherwise."""

    code = "withheld"
    advice = "pages that show a credit card need Jumio's permission; look at it in Jumio's portal"


class JumioRefusedError(ParkError):
    """Jumio refused our credentials or our User-Agent."""

    code = "jumio_refused"


class MismatchError(ParkError):
    """What Jumio shows belongs to another account or workflow than the callback named."""

    code = "mismatch"


class NoCredentialsError(ParkError):
    """There are no credentials with which Jumio could be asked."""

    code = "no_credentials"
    advice = "delete it in Jumio's portal, or set JUMIO_LEGACY_TOKEN and requeue"


class UnreadableError(ParkError):
    """The callback could not be read."""

    code = "unreadable"


class TenantGoneError(ParkError):
    """The row is of a tenant that this worker has no credentials for."""

    code = "tenant"


class TooSlowError(TryAgainError):
    """The attempt took longer than an attempt may."""

    code = "time_limit"


class ErasedError(LineError):
    """The person whom it is about was erased: nothing of it is written."""

    code = "erased"


class BusyError(TryAgainError):
    """Another worker wrote a newer result while this one was reading."""

    code = "busy"


class VaultAwayError(TryAgainError):
    """The store of images did not answer, or refused."""

    code = "vault_away"
    advice = "see IMAGES_URL and what belongs to it; then: jumio-pipeline requeue --parked --reason vault_away"


class SubscriberAwayError(TryAgainError):
    """A subscriber did not answer 2xx in time."""

    code = "subscriber_away"
    advice = "mend the subscriber, then: jumio-pipeline requeue --parked --reason subscriber_away"


class SubscriberAddressError(SubscriberAwayError):
    """The subscriber's name resolves to an address that events may not go to: for a moment, or because it moved."""

    code = "subscriber_address"
    advice = (
        "mend its name in DNS, or list the address in SUBSCRIBER_PRIVATE_CIDRS if it is meant to be inside, then: "
        "jumio-pipeline requeue --parked --reason subscriber_address"
    )


class OvertakenError(ParkError):
    """It was put back, and a later event of its workflow had been sent meanwhile."""

    code = "overtaken"
    advice = "to send it all the same, marked as a replay: jumio-pipeline replay --event ID"


class StreamAwayError(TryAgainError):
    """The Redis stream could not be written."""

    code = "stream_away"


class ExchangeAwayError(TryAgainError):
    """The exchange could not be written, or its broker did not confirm."""

    code = "exchange_away"


class SubscriberForbiddenError(ParkError):
    """The subscriber's URL is not one that events may be sent to, whatever a name server says."""

    code = "subscriber_forbidden"
