"""The fault harness in a reduced form: `python -m tests.faults` is the full one."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_faults_end_equal_or_with_a_clear_error(tmp_path):
    output = tmp_path / "faults.json"
    command = [sys.executable, "-m", "tests.faults", "--kills", "6", "--minutes", "1", "--seed", "1"]
    command += ["--runs", "vae-4-point", "avb-4-point", "--without", "Snakemake killed", "--output", str(output)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(output.read_text())
    assert found["defects"] == []
    assert found["kills"] > 0
