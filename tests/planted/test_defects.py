"""The planted defects are still what they say; whether each is noticed tells `make planted-defects`."""

from pathlib import Path

import pytest

from tests.planted.__main__ import ROOT, plant
from tests.planted.defects import DEFECTS, Defect


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_can_be_planted_and_its_tests_are_there(defect: Defect, tmp_path: Path) -> None:
    for edit in defect.edits:
        (tmp_path / edit.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / edit.path).write_text((ROOT / edit.path).read_text(encoding="utf-8"), encoding="utf-8")

    plant(defect.edits, tmp_path)

    assert all((tmp_path / edit.path).read_text() != (ROOT / edit.path).read_text() for edit in defect.edits)
    for test in defect.caught_by:
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
