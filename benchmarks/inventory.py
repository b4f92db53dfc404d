"""What of the data and weights is on this machine, and where to put the rest."""

from pathlib import Path

from benchmarks.config import Dataset


def list_data(root: Path, known: dict[str, Dataset]) -> None:
    """Which datasets are here, and where to put the others."""
    from benchmarks.image_files import cache_root

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


def list_weights(root: Path) -> None:
    """Whether Inception's weights are here, and where to get them."""
    from pytorch_fid.inception import FID_WEIGHTS_URL

    from benchmarks.metrics.inception import CHECKSUM, SIZE, WEIGHTS

    if (root / WEIGHTS).exists():
        print("  Inception's weights: present")
    else:
        print(f"  Inception's weights: absent ({SIZE}); fetched by profiles laptop and paper, or by hand:")
        print(f"    {root / WEIGHTS} from {FID_WEIGHTS_URL}  sha256 {CHECKSUM}...")
