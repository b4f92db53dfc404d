"""Resolved runs and rendered tables are as they were; `python -m tests.helpers.freeze` keeps an intended change."""

import json

import pytest

from tests.helpers.freeze import FOLDER, PROFILES, rendered, specifications


@pytest.mark.parametrize("profile", PROFILES)
def test_runs_are_resolved_as_before(profile):
    before = json.loads((FOLDER / "specifications.json").read_text(encoding="utf-8"))[profile]
    now = specifications(profile)
    assert {run for run in {**before, **now} if before.get(run) != now.get(run)} == set()


def test_tables_and_claims_are_rendered_as_before(tmp_path):
    before = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "rendered").iterdir()}
    now = rendered(tmp_path)
    assert now.keys() == before.keys()
    for name, text in now.items():
        assert text == before[name], name
