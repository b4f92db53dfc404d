"""Results from elsewhere: samples and weights get a row of a table, or one line that says what is wrong with them."""

import json
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from benchmarks.cli.main import main
from benchmarks.data.image_files import Decoder, read_images
from benchmarks.errors import SuiteError
from benchmarks.jobs import external
from benchmarks.plan.suite import Suite
from tests.helpers.documents import refusal

GREY = "unifying-infogan-vaegan"  # on digits-grey in profile smoke


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def samples(folder, name="samples.npz", n=64, **arrays):
    """A file of samples of 8x8 pixels."""
    random = numpy.random.default_rng(0)
    numpy.savez(folder / name, **(arrays or {"samples": random.integers(0, 256, (n, 8, 8), numpy.uint8)}))
    return folder / name


def test_samples_get_a_row_by_what_needs_samples_only(here, capsys):
    assert main(["evaluate", str(samples(here)), "--as", "mine", "--table", GREY, "--profile", "smoke"]) == 0
    text = capsys.readouterr().out
    assert "| mine (brought: samples.npz; code accuracy not run: Samples gives no code" in text
    folder = here / "results" / "smoke" / "own" / "mine"
    records = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert records["run"]["status"] == "ok"
    assert records["metrics"]["metrics"] == {
        "class_coverage": "not run",
        "classifier_fid": "not run",
        "classifier_score": "not run",
        "sharpness": "ok",
    }
    assert "is not trained yet" in records["classifier_fid"]["results"][0]["reason"]
    assert text == (here / "reports" / "smoke" / f"{GREY}-with-mine.md").read_text() + "\n"


def test_the_metric_sees_the_images_that_were_brought(here):
    pixels = numpy.random.default_rng(0).integers(0, 256, (16, 1, 8, 8), numpy.uint8)
    suite = Suite("smoke", None, [GREY])
    path = samples(here, x=pixels)
    external.bring(suite, path, "mine", GREY, root=here)
    found = json.loads((here / "results/smoke/own/mine/sharpness.json").read_text())["results"][0]
    from benchmarks.data.datasets import load
    from benchmarks.metrics.sharpness import edges

    real = load("digits-grey", suite.datasets["digits-grey"], here, torch.device("cpu")).test_x[:16]
    expected = edges(torch.from_numpy(pixels / 255)).mean() / edges(real).mean()
    assert found["value"] == pytest.approx(float(expected), rel=1e-6)


def test_layouts_and_types_are_the_same_images(here):
    pixels = numpy.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), numpy.uint8)
    first = external.images_of(samples(here, x=pixels), (3, 4, 6))
    last = external.images_of(samples(here, samples=pixels.transpose(0, 2, 3, 1)), (3, 4, 6))
    floats = external.images_of(samples(here, x=pixels / 255), (3, 4, 6))
    for i, image in enumerate(pixels):
        Image.fromarray(image.transpose(1, 2, 0)).save(here / f"{i}.png")
    folder = external.images_of(here, (3, 4, 6))
    with zipfile.ZipFile(here / "images.zip", "w") as archive:
        for path in sorted(here.glob("*.png")):
            archive.write(path, path.name)
        archive.write(here / "0.png", "../escaped.png")
    inside = external.images_of(here / "images.zip", (3, 4, 6))
    for other in (last, folder, inside, numpy.round(floats * 255)):
        assert (first == other).all()
    assert not (here.parent / "escaped.png").exists()


DIGITS = numpy.round(load_digits().images[:64] / 16 * 255).astype(numpy.uint8)
BITS = DIGITS > 127


def test_each_way_to_store_the_same_digits_reads_the_same(here):
    """Values are those of one image, whatever its type says; the right ones are those of uint8 0 to 255."""
    random = numpy.random.default_rng(external.ORDER_SEED).permutation(64)
    expected = (DIGITS[random] / 255)[:, None]
    coloured = numpy.repeat(DIGITS[:, None], 3, 1)
    for stored in (
        DIGITS / 255,
        (DIGITS / 255).astype(numpy.float16),
        DIGITS / 255 * (1 + 2e-7) - 1e-7,  # rounding beyond 0 and 1
        coloured / 255,
        numpy.moveaxis(coloured, 1, -1) / 255,
    ):
        found = external.images_of(samples(here, x=stored), (1, 8, 8))
        assert found.dtype == numpy.float32
        assert found.shape == (64, 1, 8, 8)
        assert 0 <= found.min() <= found.max() == 1
        assert numpy.abs(found - expected).max() < 5e-4
    for grey in (DIGITS, coloured, numpy.moveaxis(coloured, 1, -1)):
        assert numpy.array_equal(external.images_of(samples(here, x=grey), (1, 8, 8)), DIGITS[random][:, None])
    assert numpy.array_equal(external.images_of(samples(here, x=BITS), (1, 8, 8)), BITS[random][:, None] * 1.0)
    black = numpy.zeros((64, 8, 8), numpy.uint8)
    assert not external.images_of(samples(here, x=black), (1, 8, 8)).any()  # black in every range


def test_a_folder_of_grey_images_in_three_channels_is_grey(here):
    (here / "images").mkdir()
    for i, image in enumerate(DIGITS):
        Image.fromarray(image).convert("RGB").save(here / "images" / f"{i:02}.png")
    order = numpy.random.default_rng(external.ORDER_SEED).permutation(64)
    assert numpy.array_equal(external.images_of(here / "images", (1, 8, 8))[:, 0], DIGITS[order])
    Image.fromarray(numpy.stack([DIGITS[0], DIGITS[1], DIGITS[0]], -1)).save(here / "images" / "07.png")
    with pytest.raises(SuiteError, match="1 of 64 images are in colour; the table's are grey: convert them"):
        external.images_of(here / "images", (1, 8, 8))


def test_dark_samples_are_taken_with_a_line(here, capsys):
    found = external.images_of(samples(here, x=DIGITS // 4), (1, 8, 8))
    assert found.max() == 63
    assert "the greatest value is 63; 255 is read as white" in capsys.readouterr().err
    dark = external.images_of(samples(here, x=DIGITS // 16 / 255), (1, 8, 8))  # the way for images that are so dark
    assert dark.max() == pytest.approx(15 / 255)
    assert "the greatest value is 0.0588; 1 is read as white" in capsys.readouterr().err
    external.images_of(samples(here, x=DIGITS), (1, 8, 8))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("greatest", "factor"), [(1, "255"), (15, "255 / 15"), (16, "255 / 16"), (31, "255 / 31")])
def test_a_folder_whose_values_are_of_another_range_is_refused(here, monkeypatch, greatest, factor):
    monkeypatch.setenv("VGB_CACHE", str(here / "cache"))
    for i, image in enumerate(numpy.round(DIGITS / 255 * greatest).astype(numpy.uint8)):
        (here / "images" / str(i % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(here / "images" / str(i % 2) / f"{i:02}.png")
    message = rf"{greatest}; expected 0 \(black\) to 255 \(white\): multiply by {factor} if {greatest} is white"
    for read in (lambda: external.images_of(here / "images", (1, 8, 8)), lambda: read_images(here / "images")):
        with pytest.raises(SuiteError, match=message):
            read()


def test_bits_palettes_and_scaled_greys_of_image_files_have_their_range(here):
    """What an image file itself says of its range is heeded: 1 bit, a palette, a portable grey map of 15 levels."""
    (here / "images").mkdir()
    bits = Image.fromarray(BITS[0].astype(numpy.uint8) * 255)
    bits.convert("1").save(here / "images" / "bit.png")
    bits.convert("P").save(here / "images" / "palette.png")
    levels = " ".join(str(v) for v in (BITS[0] * 15).ravel())
    (here / "images" / "levels.pgm").write_text(f"P2 8 8 15 {levels}\n")
    decode = Decoder(here / "images", lambda image: image.convert("L"))
    for name in ("bit.png", "palette.png", "levels.pgm"):
        found = decode(name, (here / "images" / name).read_bytes())
        assert numpy.array_equal(found[0, 0], BITS[0] * numpy.uint8(255)), name
    Image.fromarray(DIGITS[0].astype(numpy.uint16) * 257).save(here / "images" / "sixteen.png")
    with pytest.raises(SuiteError, match=r"sixteen.png has mode I;16"):
        decode("sixteen.png", (here / "images" / "sixteen.png").read_bytes())


def test_weights_get_every_metric_of_the_table(here, capsys):
    assert main(["train", "vae-4-point", "--profile", "smoke"]) == 0
    weights = here / "results/smoke/vae-4-point/seed0/weights.safetensors"
    arguments = ["evaluate", str(weights), "--as", "again", "--run", "vae-4-point", "--profile", "smoke"]
    assert main([*arguments, "--table", "avb-table-1"]) == 0
    found = json.loads((here / "results/smoke/own/again/log_likelihood.json").read_text())["results"][0]
    before = json.loads((here / "results/smoke/vae-4-point/seed0/log_likelihood.json").read_text())["results"][-1]
    assert found["value"] == before["value"]  # quadrature: no noise
    metrics = json.loads((here / "results/smoke/own/again/metrics.json").read_text())["metrics"]
    assert metrics == dict.fromkeys(metrics, "ok")
    assert set(metrics) == {"log_likelihood", "reconstruction_error", "elbo", "aggregated_kl", "aggregated_kl_knn"}
    assert "| log-likelihood | again | VAE | 0.0000" in capsys.readouterr().out


def pickled(folder):
    """An npz file that runs code where it is unpickled."""

    class Hostile:
        def __reduce__(self):
            return (Path.touch, (folder / "hostile",))

    return samples(folder, samples=numpy.array([Hostile()], dtype=object))


def text_file(folder, name):
    """A file of the wrong kind."""
    (folder / name).write_text("not what it says")
    return folder / name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: samples(f, samples=numpy.zeros((64, 28, 28), numpy.uint8)),
            "shape (64, 28, 28); the table's images",
        ),
        (lambda f: samples(f, samples=numpy.zeros(64, numpy.uint8)), "shape (64,)"),
        (lambda f: samples(f, samples=numpy.uint8(1)), "shape ()"),
        (lambda f: samples(f, samples=numpy.zeros((64, 8, 8), int)), "type int64; expected uint8, or floats"),
        (lambda f: samples(f, samples=numpy.zeros((64, 8, 8), numpy.int8)), "type int8; expected uint8, or floats"),
        (lambda f: samples(f, samples=DIGITS / 127.5 - 1), "values from -1 to 1; expected floats from 0 to 1"),
        (lambda f: samples(f, samples=DIGITS / 127.5 - 1), "(x + 1) / 2 does for values from -1 to 1"),
        (lambda f: samples(f, samples=DIGITS * 1.0), "values from 0 to 255; expected floats from 0 to 1"),
        (lambda f: samples(f, samples=DIGITS / 255 * 1.00001), "values from 0 to 1.00001; expected floats"),
        (lambda f: samples(f, samples=DIGITS / 255**2), "to 0.00392, at most one level of 255; expected 0 (black)"),
        (lambda f: samples(f, samples=BITS.astype(numpy.uint8)), "uint8 with values 0 to 1; expected 0 (black) to 255"),
        (lambda f: samples(f, samples=BITS.astype(numpy.uint8)), "multiply by 255 if 1 is white, or store floats"),
        (lambda f: samples(f, samples=DIGITS // 16), "uint8 with values 0 to 15"),
        (lambda f: samples(f, samples=load_digits().images[:64].astype(numpy.uint8)), "multiply by 255 / 16 if 16"),
        (lambda f: samples(f, samples=numpy.full((64, 8, 8), numpy.nan)), "4096 of 4096 values are NaN or infinite"),
        (
            lambda f: samples(f, samples=numpy.where(numpy.arange(64).reshape(8, 8) == 9, numpy.inf, DIGITS / 255)),
            "64 of 4096 values are NaN or infinite",
        ),
        (lambda f: samples(f, samples=numpy.stack([DIGITS, DIGITS, 255 - DIGITS], 1)), "64 of 64 images are in colour"),
        (lambda f: samples(f, n=3), "3 images; "),
        (lambda f: samples(f, n=0), "0 images; "),
        (lambda f: samples(f, images=numpy.zeros((64, 8, 8))), "no array samples or x; it has images"),
        (pickled, "cannot be read as npz"),
        (lambda f: text_file(f, "x.npz"), "cannot be read as npz"),
        (lambda f: text_file(f, "x.zip"), "not a whole zip"),
        (lambda f: f / "absent.npz", "no such file or folder"),
        (lambda f: f, "no images in it"),
    ],
)
def test_wrong_samples_are_one_line_and_write_nothing(here, capsys, make, message):
    line = refusal(capsys, "evaluate", make(here), "--as", "mine", "--table", GREY)
    assert message in line
    assert not (here / "results" / "smoke" / "own" / "mine").exists()
    assert not (here / "hostile").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "../up", "--table", GREY], "name '../up'"),
        (["--as", "vae-mnist-8", "--table", GREY], "has a 'vae-mnist-8' already"),
        (["--as", "mine", "--table", "unifying-infogan-vegan"], "did you mean 'unifying-infogan-vaegan'?"),
        (["--as", "mine"], "unknown table None"),
        (["--table", GREY], "say --as NAME"),
        (["--as", "mine", "--table", "unifying-table-2-left"], "say which with --dataset"),
        (["--as", "mine", "--table", "unifying-table-2-left", "--dataset", "digit"], "did you mean 'digits-grey'?"),
        (["--as", "mine", "--table", "avb-bounds"], "no metric of avb-bounds can be measured"),
        (["--as", "mine", "--table", "avb-eight-schools"], "has no images"),
        (["--as", "mine", "--table", GREY, "--run", "vae-mnist-8"], "--run is for weights"),
    ],
)
def test_wrong_options_are_one_line(here, capsys, arguments, message):
    assert message in refusal(capsys, "evaluate", samples(here), *arguments)


def test_weights_that_do_not_fit_name_the_first_parameter(here, capsys):
    path, rest = here / "w.safetensors", ("--as", "mine", "--table", "avb-table-1")
    save_file({"a": torch.zeros(1)}, path)
    assert "say with --run" in refusal(capsys, "evaluate", path, *rest)
    assert "encoder." in (line := refusal(capsys, "evaluate", path, *rest, "--run", "vae-4-point"))
    assert "is absent; in run vae-4-point of profile smoke it is (" in line
    assert "unknown run" in refusal(capsys, "evaluate", path, *rest, "--run", "vae-5-point")
    path.write_bytes(b"\x80\x04no")
    assert "not a readable safetensors file" in refusal(capsys, "evaluate", path, *rest, "--run", "vae-4-point")
