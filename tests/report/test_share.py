"""`cite` and `bundle`: every method has its source, and a bundle is the same bytes each time and checks itself."""

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pandas
import pytest

from benchmarks.cli.main import main
from benchmarks.config import declarations
from benchmarks.plan.suite import Suite
from benchmarks.report.citations import bibtex, entries
from benchmarks.store.records import Evaluation, RunRecord, write

SUITE = Suite("quick")


def test_every_method_paper_and_dataset_has_an_entry_and_every_entry_a_use():
    named = set().union(*(entry.names for entry in entries()))
    assert set(declarations.methods()) <= named
    assert {table.paper for table in SUITE.tables.values()} <= named
    datasets = {name for name in SUITE.datasets if name not in ("4-point", "torus", "rosenbrock")}  # ours, or a formula
    assert datasets <= named
    papers = {table.paper for table in SUITE.tables.values()}
    assert named <= set(declarations.classes()) | papers | set(SUITE.datasets) | set(declarations.metrics()) | set(
        SUITE.runs
    )


def test_entries_are_bibtex_with_what_a_reader_needs():
    keys = [entry.key for entry in entries()]
    assert len(set(keys)) == len(keys)
    for entry in entries():
        assert entry.text.count("{") == entry.text.count("}")
        fields = re.findall(r"^  (\w+) = \{", entry.text, re.M)
        assert {"title", "author", "year"} <= set(fields)
        assert len(set(fields)) == len(fields)


def test_cite_prints_what_a_run_or_a_table_uses(capsys):
    assert main(["cite", "vae-iaf-mnist"]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"^@\w+\{(.*),", said, re.M)[0] == "vgbench"
    assert "kingma2016iaf" in said
    assert "goodfellow2014gan" not in said
    assert "vgbench = {" not in said
    assert main(["cite", "unifying-table-2-left"]) == 0
    assert "hu2018unifying" in capsys.readouterr().out
    assert main(["cite", "vae-iaf-minst"]) == 2
    assert "did you mean 'vae-iaf-mnist'" in capsys.readouterr().err


def test_all_that_the_suite_uses_is_cited():
    said = bibtex(Suite("paper"), [])
    assert not [entry.key for entry in entries() if entry.key not in said and not entry.names & {"digits", "celeba"}]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with the results of one training: small weights, and large ones of another."""
    monkeypatch.chdir(tmp_path)
    for number, (folder, job) in enumerate(Suite("quick", None, ["avb-table-1"]).jobs.items()):
        place = Path("results/quick") / folder
        record = RunRecord(
            run=job.run, seed=job.seed, profile="quick", status="ok", specification=job.specification,
            dataset="4-point", started=f"2026-01-0{number + 1}T00:00:00+00:00",
        )  # fmt: skip
        write(place / "run.json", record)
        write(place / "metrics.json", Evaluation(run=job.run, seed=job.seed, metrics={}))
        (place / "weights.safetensors").write_bytes(bytes(2**20 * number + 100))
    pandas.DataFrame({"run": ["a"]}).to_parquet("results/quick/results.parquet")
    Path("reports/quick").mkdir(parents=True)
    Path("reports/quick/avb-table-1.md").write_text("| a |\n")
    return ["bundle", "--only", "avb-table-1"]


def test_a_bundle_holds_what_it_should_twice_the_same(results, tmp_path, capsys):
    assert main([*results, "--", "a.zip"]) == main([*results, "--", "b.zip"]) == 0
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()
    assert main(["bundle", "--check", "a.zip"]) == 0
    with zipfile.ZipFile("a.zip") as archive:
        names = set(archive.namelist())
        archive.extractall("out")
    assert {"reports/quick/avb-table-1.md", "results/quick/results.parquet", "constraints.txt", "CITATION.cff"} <= names
    assert {"benchmarks/profiles.yml", "benchmarks/papers/avb/runs.yml", "benchmarks/papers/avb/published.csv"} <= names
    assert "results/quick/avb-4-point/seed0/weights.safetensors" in names
    assert "results/quick/vae-4-point/seed0/weights.safetensors" not in names  # more than 1 MiB
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd="out").returncode == 0
    graph = {entity["@id"]: entity for entity in json.loads(Path("out/ro-crate-metadata.json").read_text())["@graph"]}
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert graph["./"]["datePublished"].startswith("2026-01-")
    parts = {part["@id"] for part in graph["./"]["hasPart"]}
    assert parts == names - {"SHA256SUMS", "ro-crate-metadata.json"}
    assert all(int(graph[name]["contentSize"]) == Path("out", name).stat().st_size for name in parts)
    assert "kingma2014vae" in Path("out/citations.bib").read_text()


def test_a_changed_bundle_is_refused_with_one_line(results, capsys):
    assert main([*results, "--", "a.zip"]) == 0
    content = Path("a.zip").read_bytes()
    with zipfile.ZipFile("a.zip") as old, zipfile.ZipFile("changed.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"other" if name == "CITATION.cff" else old.read(name))
    with zipfile.ZipFile("a.zip") as old, zipfile.ZipFile("added.zip", "w") as new:
        for name in [*old.namelist(), "z-more"]:
            new.writestr(name, b"" if name == "z-more" else old.read(name))
    Path("cut.zip").write_bytes(content[: len(content) // 2])
    middle = len(content) // 3
    Path("flipped.zip").write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    capsys.readouterr()
    for name, says in (
        ("changed.zip", "CITATION.cff has another SHA-256"),
        ("added.zip", "z-more is not in SHA256SUMS"),
        ("cut.zip", "damaged"),
        ("flipped.zip", "get the bundle again"),
        ("absent.zip", "no such file"),
    ):
        assert main(["bundle", "--check", name]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1


def test_a_bundle_needs_results(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", "a.zip"]) == 2
    assert "run snakemake with profile=quick first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
