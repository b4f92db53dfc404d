"""What of packages, hardware, data and weights is on this machine, and where to put the rest; imports no torch."""

import os
import platform
import re
import shutil
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.config.declarations import ROOT, constants
from benchmarks.config.models import Dataset
from benchmarks.hardware.host import gpu_names

GIB = 2**30
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """One line, and what to do about it; `essential`: profile quick cannot run without."""

    line: str
    advice: str = ""
    essential: bool = False


def installed(package: str) -> str | None:
    """The version of a package without its local part; None if it is absent."""
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return None


def packages(root: Path = ROOT) -> list[Finding]:
    """The suite's dependencies, and installed versions beside those of constraints.txt, which a wheel does not hold."""
    if (root / "pyproject.toml").exists():
        with open(root / "pyproject.toml", "rb") as file:
            stated = tomllib.load(file)["project"]["dependencies"]
    else:
        stated = [text for text in requires("vgbench") or () if "extra ==" not in text]
    needed = [re.split("[<>=; ]", text)[0] for text in stated]
    absent = [name for name in needed if installed(name) is None]
    lock = root / "constraints.txt"
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    pinned = [line.split("==") for line in lines if "==" in line]
    other = [f"{name} {installed(name)} (tested: {pin})" for name, pin in pinned if installed(name) not in (None, pin)]
    install = "pip install -c constraints.txt -e ."
    old = tuple(map(int, platform.python_version_tuple()[:2])) < (3, 11)
    here = f"packages: {len(needed) - len(absent)} of {len(needed)} needed"
    return [
        Finding(f"Python: {platform.python_version()}", "install 3.11 or later" if old else "", old),
        Finding(", ".join([here, *(f"{name} ABSENT" for name in absent)]), install if absent else "", bool(absent)),
        Finding(
            f"versions: {', '.join(other) or 'as in constraints.txt'}",
            f"for the tested ones {install}" if other else "",
        ),
    ]


def torch_cuda() -> str | None:
    """The CUDA version that PyTorch was built for, read from its file."""
    spec = find_spec("torch")
    places = spec.submodule_search_locations if spec else None
    return constants(Path(places[0]) / "version.py").get("cuda") if places else None


def hardware() -> list[Finding]:
    """GPUs, cores, memory and disk."""
    gpus, cuda = gpu_names(), torch_cuda()
    if gpus and not cuda:
        gpu = Finding(f"GPU: {', '.join(gpus)}", "this PyTorch is built without CUDA and uses the CPU")
    elif gpus:
        gpu = Finding(f"GPU: {', '.join(gpus)}; PyTorch is built for CUDA {cuda}")
    else:
        gpu = Finding("GPU: none; profile paper would take months without")
    cores, free = len(os.sched_getaffinity(0)), shutil.disk_usage(".").free / GIB
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return [
        gpu,
        Finding(f"cores: {cores}"),
        Finding(f"memory: {memory:.1f} GiB", "4 GiB for two jobs of profile quick at once" if memory < 4 else ""),
        Finding(f"free disk here: {free:.1f} GiB", "at least 1 GiB" if free < 1 else "", free < 1),
    ]


def tools() -> list[Finding]:
    """Conda and a browser."""
    conda = next((name for name in ("conda", "mamba", "micromamba") if shutil.which(name)), None)
    with_conda = "the rules can run in environment.yml's environment with --use-conda"
    without = "leave out --use-conda, and the rules run in this environment"
    browser = next((name for name in BROWSERS if shutil.which(name)), None)
    return [
        Finding(f"conda: {conda}; {with_conda}" if conda == "conda" else f"conda: {conda or 'none'}; {without}"),
        Finding(f"browser for the report's tests: {browser or 'none, so they are skipped'}"),
    ]


def writable(folder: Path) -> bool:
    """Whether files can be made in the folder, or the folder itself."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def folders(cache: Path) -> list[Finding]:
    """Whether results, reports and decoded images can be written."""
    places = [Path("results"), Path("reports"), cache]
    denied = [str(place) for place in places if not writable(place)]
    line = (
        f"folders: {', '.join(map(str, places))}: {'writable' if not denied else 'NOT writable: ' + ', '.join(denied)}"
    )
    return [Finding(line, f"make {', '.join(denied)} writable for this user" if denied else "", bool(denied))]


def holders() -> dict[int, int]:
    """Inode -> process of every file lock on this machine, where the kernel tells."""
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return {}
    held = [line for line in lines if len(line) > 5 and line[1] == "FLOCK"]
    return {int(line[5].rsplit(":", 1)[1]): int(line[4]) for line in held}


def locks(results: Path = Path("results")) -> list[Finding]:
    """Which folders of results are being written, and by which process."""
    known, files = holders(), sorted(results.glob("*/*/*/.lock"))
    held = [(path.parent, known[path.stat().st_ino]) for path in files if path.stat().st_ino in known]
    lines = [f"in use: {folder} by process {process}" for folder, process in held]
    return [Finding(line) for line in lines or ["locks: no folder of results is in use"]]


def list_data(root: Path, known: dict[str, Dataset]) -> None:
    """Which datasets are here, and where to put the others."""
    from benchmarks.data.image_files import cache_root

    print(f"data root: {root} (set by --data-root or VGB_DATA_ROOT)")
    print(f"decoded images: {cache_root()} (set by VGB_CACHE; may be deleted)")
    for name, definition in known.items():
        state = definition.state(root)
        if state != "absent":
            print(f"  {name}: {state}" + (", no file needed" if state == "embedded" else ""))
            continue
        how = definition.instructions or "downloaded when first needed, or by hand"
        print(f"  {name}: absent ({definition.size}); {how}:")
        for file in definition.files:
            md5 = definition.checksums.get(file)
            print(f"    {root / file}" + (f"  md5 {md5}" if md5 else ""))


def inception_source() -> dict[str, Any]:
    """The literals WEIGHTS, CHECKSUM, SIZE of our file, and pytorch-fid's FID_WEIGHTS_URL where that is installed."""
    ours = constants(ROOT / "benchmarks" / "metrics" / "estimators" / "inception.py")
    spec = find_spec("pytorch_fid")
    places = spec.submodule_search_locations if spec else None
    return ours | (constants(Path(places[0]) / "inception.py") if places else {})


def list_weights(root: Path) -> None:
    """Whether Inception's weights are here, and where to get them."""
    source = inception_source()
    if (root / source["WEIGHTS"]).exists():
        print("  Inception's weights: present")
    else:
        print(f"  Inception's weights: absent ({source['SIZE']}); fetched by profiles laptop and paper, or by hand:")
        url = source.get("FID_WEIGHTS_URL", "pytorch-fid's releases")
        print(f"    {root / source['WEIGHTS']} from {url}  sha256 {source['CHECKSUM']}...")
