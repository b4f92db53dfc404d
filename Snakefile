# Models between VAE and GAN: every table, figure and claim of the papers, from one command.
#   snakemake --cores all                            profile quick: no download, minutes
#   snakemake --cores all --config profile=laptop    real data; see README.md
import os
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


onstart:
    if workflow.local_exec:  # jobs on other machines cannot reach it
        os.environ["VGB_WARM"] = f"{workflow.snakemake_tmp_dir}:{os.getpid()}"


rule all:
    default_target: True
    input:
        f"results/{PROFILE}/.verdict",


rule trained:
    input:
        TRAINED,


rule evaluated:
    input:
        EVALUATED,
