"""What a result row says of its origin and cost, and that the same inputs give the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.hardware import energy
from benchmarks.hardware.devices import precision_on
from benchmarks.hardware.provenance import commit, data_sha256, environment_sha256
from benchmarks.jobs.collect import RUN_COLUMNS, collect
from benchmarks.plan.suite import Suite
from benchmarks.store.records import RunRecord, read
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def train(folder: Path, run: str) -> RunRecord:
    """The record of a training in a process of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks", "train", run, "--profile", "smoke"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VGB_DEVICE": "cpu"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return read(folder / "results" / "smoke" / run / "seed0" / "run.json", RunRecord)


def test_two_processes_give_the_same_bits_and_say_where_they_come_from(tmp_path):
    one, other = (train(tmp_path / name, "avb-ac-mnist-8") for name in ("one", "other"))
    for name in ("weights_sha256", "data_sha256", "environment_sha256", "commit", "dirty"):
        assert getattr(one, name) == getattr(other, name), name
    assert len(one.data_sha256) == len(one.environment_sha256) == 64
    assert one.dirty is (one.commit.endswith("+") if one.commit else None)
    assert one.commit == commit()
    assert one.environment_sha256 == environment_sha256()
    assert one.gpu_seconds == one.peak_gpu_memory_mib == 0
    assert (one.energy_kwh is None) == one.energy_source.startswith("not measured: ")


def test_the_datas_hash_sees_every_example_label_and_meaning():
    pixels, labels = torch.arange(40, dtype=torch.uint8).reshape(10, 1, 2, 2), torch.arange(10)
    other = pixels.clone()
    other[9, 0, 1, 1] += 1
    variants = [
        Images(pixels, labels),
        Images(other, labels),
        Images(pixels[:9], labels[:9]),
        Images(pixels, labels.flip(0)),
        Images(pixels, None),
        Images(pixels, labels, "levels"),
        Images(pixels.reshape(10, 1, 1, 4), labels),
    ]
    assert len({data_sha256(images) for images in variants}) == len(variants)
    assert data_sha256(Images(pixels.clone(), labels.clone())) == data_sha256(variants[0])
    assert data_sha256(Images(torch.zeros(1, 0, dtype=torch.uint8))) == ""


def zone(folder: Path, name: str, says: str, microjoules: int, largest: int = 1000) -> Path:
    """A power zone as the kernel shows it."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for file, content in (("name", says), ("energy_uj", microjoules), ("max_energy_range_uj", largest)):
        (place / file).write_text(f"{content}\n")
    return place


def test_rapl_sums_packages_and_survives_a_counter_that_starts_again(tmp_path):
    first = zone(tmp_path, "intel-rapl:0", "package-0", 900)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 5)  # contains the packages
    meter = energy.Meter(CPU, tmp_path)
    assert meter.source == "RAPL: processor packages"
    assert meter() == {"gpu_seconds": 0.0, "joules": 0.0}
    (first / "energy_uj").write_text("100")  # 200 further, over the top
    (second / "energy_uj").write_text("50")
    assert meter()["joules"] == pytest.approx(250e-6)
    (first / "energy_uj").write_text("50")
    assert meter()["joules"] == pytest.approx(1200e-6)


def test_no_counter_is_a_reason_and_no_number(tmp_path):
    meter = energy.Meter(CPU, tmp_path)
    assert "joules" not in meter()
    assert meter.source.startswith("not measured: processor: no RAPL counter")
    found = energy.total([{**meter(), **meter.says()}])
    assert "energy_kwh" not in found
    assert found["energy_source"] == meter.source
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert energy.Meter(CPU, tmp_path).source.startswith("not measured: processor: RAPL: ")


def test_a_gpus_energy_is_its_cards(tmp_path, monkeypatch):
    """NVML cannot run here: a stand-in says 5000 mJ, then 8600 mJ, of the card with the device's UUID."""
    asked, readings = [], iter((5000, 5000, 8600))
    nvml = ModuleType("pynvml")
    nvml.NVMLError = RuntimeError  # type: ignore[attr-defined]
    nvml.nvmlInit = lambda: None  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetHandleByUUID = lambda uuid: asked.append(uuid)  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: next(readings)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1-2"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 << 20)
    meter = energy.Meter(torch.device("cuda"), tmp_path)
    found = energy.total([{**meter(), **meter.says()}])
    assert asked == ["GPU-1-2"]
    assert found["energy_kwh"] == pytest.approx(3.6 / 3.6e6)
    assert found["peak_gpu_memory_mib"] == 3
    assert meter.source == f"NVML: whole card; without processor: no RAPL counter in {tmp_path}"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py is not installed" in energy.Meter(torch.device("cuda"), tmp_path).source


def test_costs_add_up_over_a_resume_and_one_that_was_not_always_read_is_left_out(tmp_path):
    from tests.helpers.small import method_of

    def trainer(folder, costs):
        method, images, _ = method_of("vae-4-point")
        return Trainer(method, images, Settings(4, 8, 1e-3), tmp_path / folder, 0, costs=lambda: costs)

    for folder, later, wanted in (
        ("both", {"joules": 2.0, "gpu_seconds": 1.0}, {"joules": 5.0, "gpu_seconds": 2.0}),
        ("only then", {"gpu_seconds": 1.0}, {"gpu_seconds": 2.0}),
    ):
        first = trainer(folder, {"joules": 3.0, "gpu_seconds": 1.0})
        first.one_round()
        first.save(0.0)
        found = trainer(folder, later).run()
        assert {k: found[k] for k in ("joules", "gpu_seconds") if k in found} == wanted
    parts = [{"gpu_seconds": 1.0, "energy_source": "RAPL", "peak_gpu_memory_mib": 0.0}]
    assert energy.total(parts)["energy_source"].startswith("not measured: a part")


def test_every_switch_of_determinism_is_set_for_a_gpu():
    code = (  # in a process of its own: the switches are global
        "import json, os, warnings; warnings.simplefilter('error'); import torch\n"
        "from benchmarks.hardware.devices import prepare\n"
        "def switches():\n"
        "    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul\n"
        "    on = torch.are_deterministic_algorithms_enabled()\n"
        "    return [on, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32, cudnn.allow_tf32]\n"
        "prepare(torch.device('cpu')); found = {'cpu': switches()[0]}\n"
        "for precision in ('tf32', 'float32'):\n"
        "    prepare(torch.device('cuda'), precision); found[precision] = switches()\n"
        "print(json.dumps({**found, 'cublas': os.environ['CUBLAS_WORKSPACE_CONFIG']}))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CUBLAS_WORKSPACE_CONFIG"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == {
        "cpu": False,
        "tf32": [True, True, False, True, True],
        "float32": [True, True, False, False, False],
        "cublas": ":4096:8",
    }


def test_tf32_on_a_processor_is_float32_and_says_so(tmp_path):
    from benchmarks.jobs.training import train as train_here

    specification = Suite("smoke").specification("vae-4-point")
    found = [
        train_here(
            {**specification, "train": {**specification["train"], "precision": precision}},
            0,
            "smoke",
            tmp_path / precision,
            root=tmp_path,
            device_name="cpu",
        )
        for precision in ("float32", "tf32")
    ]
    assert [record.precision.split()[0] for record in found] == ["float32", "float32"]
    assert "tf32 was asked for" in found[1].precision
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("float32", "tf32"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert precision_on(CPU, "bfloat16") == "bfloat16"


def test_the_frame_is_one_table_in_three_formats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "smoke").mkdir(parents=True)
    frame = collect(Suite("smoke", only=["vae-4-point"]))
    rows = json.loads((tmp_path / "results/smoke/results.json").read_text())
    assert len(rows) == len(frame) == len(pandas.read_csv(tmp_path / "results/smoke/results.csv"))
    assert set(rows[0]) == set(frame.columns) > set(RUN_COLUMNS)
    assert rows[0]["value"] is None
