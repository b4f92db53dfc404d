"""One zip to deposit and cite: results, reports, configurations, pins, records, small weights, sums, an RO-Crate."""

import hashlib
import json
import mimetypes
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.config.declarations import ROOT
from benchmarks.config.models import load_yaml
from benchmarks.errors import SuiteError
from benchmarks.plan.suite import Suite
from benchmarks.report.citations import bibtex
from benchmarks.store.metric_files import images_file

SUMS, CRATE = "SHA256SUMS", "ro-crate-metadata.json"
PINS = (
    "CITATION.cff",
    "LICENSE",
    "constraints.txt",
    "environment.yml",
    "pyproject.toml",
    "profiles/default/profile.yaml",
)
CONFIGURATION = ("benchmarks/*.yml", "benchmarks/papers/*.yml", "benchmarks/papers/*/*", "benchmarks/citations.bib")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say: equal contents are equal bytes
MIB = 2**20


def records(suite: Suite, weights_mb: float) -> Iterator[Path]:
    """Records of the suite's jobs with values of each test image, and their weights up to so many MiB each."""
    for folder in suite.jobs:
        place, metrics = Path("results") / suite.name / folder, suite.jobs[folder].metrics
        yield from (place / name for name in ("run.json", "metrics.json", *(f"{metric}.json" for metric in metrics)))
        yield from (images_file(place, metric) for metric in metrics)
        weights = place / "weights.safetensors"
        if weights.exists() and weights.stat().st_size <= weights_mb * MIB:
            yield weights


def payload(suite: Suite, weights_mb: float) -> dict[str, Path]:
    """Name in the bundle -> file; SuiteError where the results were not collected."""
    results, report = Path("results") / suite.name, Path("reports") / suite.name
    if not (results / "results.parquet").exists():
        raise SuiteError(f"{results}/results.parquet: missing; run snakemake with profile={suite.name} first")
    found = {path.relative_to(ROOT).as_posix(): path for glob in CONFIGURATION for path in ROOT.glob(glob)}
    found |= {name: ROOT / name for name in PINS}
    ours = [
        *results.glob("results.*"),
        *results.glob("references/*.json"),
        *report.rglob("*"),
        *records(suite, weights_mb),
    ]
    found |= {path.as_posix(): path for path in ours}
    if suite.extra_runs is not None:
        found[f"runs/{suite.extra_runs.name}"] = suite.extra_runs
    return {name: path for name, path in found.items() if path.is_file()}


def published(files: dict[str, Path]) -> str:
    """The day on which the last training began: the same for the same results."""
    runs = [path for name, path in files.items() if name.endswith("/run.json")]
    return max((json.loads(path.read_text(encoding="utf-8"))["started"] for path in runs), default="")[:10]


def crate(suite: Suite, sizes: dict[str, int], date: str) -> str:
    """RO-Crate 1.1 metadata of the files."""
    cff = load_yaml(ROOT / "CITATION.cff")
    authors = [{"@id": f"#author-{i}", "@type": "Organization", "name": a["name"]} if "name" in a else
               {"@id": f"#author-{i}", "@type": "Person", "name": f"{a['given-names']} {a['family-names']}"}
               for i, a in enumerate(cff["authors"])]  # fmt: skip
    files = [
        {
            "@id": name,
            "@type": "File",
            "name": Path(name).name,
            "contentSize": str(size),
            "encodingFormat": mimetypes.guess_type(name)[0] or "application/octet-stream",
        }
        for name, size in sorted(sizes.items())
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{cff['title']}: results of profile {suite.name}",
        "description": f"Tables, figures, claims, records and configurations of profile {suite.name}: "
        f"{suite.profile.purpose}",
        "datePublished": date,
        "license": {"@id": f"https://spdx.org/licenses/{cff['license']}"},
        "author": [{"@id": author["@id"]} for author in authors],
        "version": str(cff["version"]),
        "hasPart": [{"@id": file["@id"]} for file in files],
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    graph = [descriptor, root, *authors, *files]
    return json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}, indent=1) + "\n"


def write(suite: Suite, out: Path, weights_mb: float) -> int:
    """Write the bundle, whole or not at all; how many files it holds besides their sums. SuiteError without results."""
    files = payload(suite, weights_mb)
    texts = {"citations.bib": bibtex(suite, []) + "\n"}
    sizes = {name: path.stat().st_size for name, path in files.items()}
    sizes |= {name: len(text.encode()) for name, text in texts.items()}
    texts[CRATE] = crate(suite, sizes, published(files))
    sums: dict[str, str] = {}
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:

            def add(name: str, content: bytes) -> None:
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.external_attr, entry.create_system = 0o644 << 16, 3
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
                sums[name] = hashlib.sha256(content).hexdigest()

            for name in sorted({*files, *texts}):
                add(name, texts[name].encode() if name in texts else files[name].read_bytes())
            count = len(sums)
            add(SUMS, "".join(f"{value}  {name}\n" for name, value in sums.items()).encode())
        os.replace(temporary, out)
    except OSError as error:
        raise SuiteError(f"{out}: cannot be written: {error.strerror}; choose another place") from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


def check(path: Path) -> int:
    """How many files of the bundle have the sums that it states; SuiteError at the first that has not."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if SUMS not in names:
                raise SuiteError(f"{path}: no {SUMS} inside; expected a file of `python -m benchmarks bundle`")
            lines = archive.read(SUMS).decode().splitlines()
            stated = {name: value for value, _, name in (line.partition("  ") for line in lines)}
            if odd := sorted({*stated, SUMS} ^ set(names)):
                where = "missing" if odd[0] in stated else f"not in {SUMS}"
                raise SuiteError(f"{path}: {odd[0]} is {where}; get the bundle again")
            for name, value in stated.items():
                if hashlib.sha256(archive.read(name)).hexdigest() != value:
                    raise SuiteError(f"{path}: {name} has another SHA-256 than stated; get the bundle again")
    except FileNotFoundError:
        raise SuiteError(f"{path}: no such file; name a file of `python -m benchmarks bundle`") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SuiteError(f"{path}: damaged ({error}); get the bundle again") from None
    return len(stated)
