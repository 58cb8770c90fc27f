"""Why embedded services do not run."""


class EmbeddedRefusedError(Exception):
    """Embedded services cannot run here; the text says what to do."""


class ServiceFailedError(EmbeddedRefusedError):
    """A service did not come up; the end of its log is the reason."""
