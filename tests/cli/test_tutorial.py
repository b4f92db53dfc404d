"""The tutorial says what is so: its files are those of examples/, and every command of it runs."""

from tests.helpers.documents import ROOT, at_smoke, blocks, commands, copy_tree, shell

TUTORIAL = ROOT / "docs" / "tutorial.md"


def test_the_tutorial_shows_the_files_of_the_examples():
    assert blocks(TUTORIAL, "python") == [(ROOT / "examples" / "my_method.py").read_text()]
    assert blocks(TUTORIAL, "yaml") == [(ROOT / "examples" / "mine.yml").read_text()]


def test_every_command_of_the_tutorial_runs(tmp_path):
    folder = copy_tree(tmp_path)
    for command in commands(TUTORIAL):
        done = shell(folder, at_smoke(command))
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    text = (folder / "reports" / "smoke" / "only" / "avb-table-2-with-mine" / "avb-table-2-with-mine.md").read_text()
    assert "| capacity-vae | paper –; ours ≥ " in text
    assert "capacity-vae | VAE (8-dim) |" in text
    assert (folder / "results/smoke/own/noisy-digits/classifier_fid.json").exists()


def test_commands_are_brought_to_smoke_size():
    assert at_smoke("snakemake --cores all") == "snakemake --cores 2 --config profile=smoke"
    assert at_smoke("snakemake --config profile=quick-seeds only=a") == "snakemake --config profile=smoke only=a"
    assert at_smoke("snakemake --config only=a") == "snakemake --config profile=smoke only=a"
    assert at_smoke("python -m benchmarks list | wc && ls") == "python -m benchmarks list --profile smoke | wc && ls"
    said = "python -m benchmarks evaluate results/quick/a/w.npz --profile laptop"
    assert at_smoke(said) == "python -m benchmarks evaluate results/smoke/a/w.npz --profile smoke"
