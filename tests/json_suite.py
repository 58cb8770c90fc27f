"""The 318 parsing cases of JSONTestSuite, by name; where they come from, and their licence, lies among them."""

import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "fixtures" / "json_test_suite.tar.xz"


def json_suite() -> dict[str, bytes]:
    """y_ is JSON, n_ is none, i_ is for each reader to decide."""
    with tarfile.open(ARCHIVE) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive.getmembers())
        return {name.removesuffix(".json"): file.read() for name, file in files if file and name.endswith(".json")}
