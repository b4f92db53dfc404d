"""Training images per second of the games at 32x32: plain float32, our float32, bf16, and compiled; and their scores.

python -m benchmarks.speed.games                the rates, each in a process of its own, interleaved
python -m benchmarks.speed.games --scores       quick's scores in float32 and bf16, after `snakemake --cores all`
python -m benchmarks.speed.games --operations   where the time of a round goes
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch

from benchmarks.cli.common import tune_process
from benchmarks.plan.suite import Suite
from benchmarks.speed.plain import use_defaults

RUNS = ("dcgan-cifar10", "asvae-cifar10")
WAYS = ("plain", "float32", "bfloat16", "compiled")
ROUNDS = 60
METRICS = ("classifier_fid", "classifier_score", "bits_bound", "rmse")


def trainer_of(run: str, way: str, size: str, folder: Path):
    """A trainer of quick's run on random images, its method built as the suite builds it."""
    from benchmarks.jobs.materials import build
    from methods.training.minibatches import Images
    from methods.training.trainer import Trainer, settings_from

    suite = Suite("quick")
    specification = suite.specification(run) | {"components": suite.components(run, size)}
    pixels = torch.randint(0, 256, (1024, 3, 32, 32), dtype=torch.uint8)
    method = build(specification, Images(pixels), None, 0)
    precision = "float32" if way in ("plain", "float32") else "bfloat16"
    settings = settings_from({**specification["train"], "steps": ROUNDS, "precision": precision, "snapshots": []})
    if way == "compiled":
        for module in method.children():
            module.compile()
    return Trainer(method, Images(pixels), settings, folder, 0)


def rate(run: str, way: str, size: str) -> tuple[float, float]:
    """(images per second, seconds of the first rounds), in this process."""
    if way == "plain":
        use_defaults()
    else:
        tune_process(2)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(run, way, size, Path(folder))
        began = time.perf_counter()
        for _ in range(5):
            trainer.one_round()
        first = time.perf_counter() - began
        trainer.step = 0
        return trainer.run()["images_per_second"], first


def scores(run: str, seeds: int) -> None:
    """Quick's metrics of float32 and bf16 trainings, seed by seed, and the mean paired difference."""
    from benchmarks.config import declarations
    from benchmarks.hardware.host import data_root
    from benchmarks.jobs import evaluate, training

    tune_process(2)
    suite, found = Suite("quick"), {}
    metrics = [m for m in METRICS if m in suite.metric_options(run) and suite.serves(run, m)]
    for seed in range(seeds):
        for precision in ("float32", "bfloat16"):
            specification = suite.specification(run)
            specification["train"] = {**specification["train"], "precision": precision}
            with tempfile.TemporaryDirectory() as name:
                folder, references = Path(name), Path("results/quick/references")
                record = training.train(specification, seed, "quick", folder, root=data_root(None))
                trained = evaluate.open_trained(record, folder, data_root(None), references, torch.device("cpu"))
                for metric in metrics:
                    options = suite.metric_options(run)[metric]["options"]
                    result = evaluate.run_metric(declarations.metrics()[metric], trained, options, record.steps, seed)
                    found[metric, precision, seed] = numpy.nan if result.value is None else result.value
    for metric in metrics:
        a, b = (numpy.array([found[metric, p, s] for s in range(seeds)]) for p in ("float32", "bfloat16"))
        spread = (b - a).std(ddof=1) / seeds**0.5
        print(
            f"{run} {metric}: float32 {a.round(3)}, bf16 {b.round(3)}, difference {(b - a).mean():.3f} ± {spread:.3f}"
        )


def operations(run: str, size: str) -> None:
    """The operations of ten rounds in bf16, by their share of the time."""
    from torch.profiler import profile

    tune_process(2)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(run, "bfloat16", size, Path(folder))
        for _ in range(5):
            trainer.one_round()
        with profile() as record:
            for _ in range(10):
                trainer.one_round()
    print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40))


def in_a_process(run: str, way: str, size: str) -> tuple[float, float]:
    """`rate`, measured by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.games", "--measure", run, way, size]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(out[-2]), float(out[-1])


def main() -> None:
    """Medians and ratios to the plain loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", default="small", choices=("small", "medium", "paper"), help="of the networks")
    parser.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS)
    parser.add_argument("--scores", type=int, metavar="SEEDS", nargs="?", const=3)
    parser.add_argument("--operations", action="store_true")
    parser.add_argument("--measure", nargs=3, metavar=("RUN", "WAY", "SIZE"), help="print one measurement")
    arguments = parser.parse_args()
    if arguments.measure:
        print(*rate(*arguments.measure))
        return
    for run in RUNS:
        if arguments.scores:
            scores(run, arguments.scores)
        elif arguments.operations:
            operations(run, arguments.size)
        else:
            found = {way: [] for way in arguments.ways}
            for _ in range(arguments.repeats):
                for way, rates in found.items():
                    rates.append(in_a_process(run, way, arguments.size))
            medians = {
                way: [statistics.median(part) for part in zip(*rates, strict=True)] for way, rates in found.items()
            }
            base = medians[arguments.ways[0]][0]
            for way, (median, first) in medians.items():
                line = f"{median:,.0f} images/s, ratio {median / base:.2f}, first five rounds {first:.1f} s"
                print(f"{run} ({arguments.size}) {way}: {line}", flush=True)


if __name__ == "__main__":
    main()
