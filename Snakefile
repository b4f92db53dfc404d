# Models between VAE and GAN: every table, figure and claim of the papers, from one command.
#   snakemake --cores all                            profile quick: no download, minutes
#   snakemake --cores all --config profile=laptop    real data; see README.md
from pathlib import Path

from benchmarks.look.plan import announcement
from benchmarks.jobs.warm import offer as offer_warm_process
from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/own.smk"
include: "workflow/rules/report.smk"


onstart:
    if workflow.local_exec:  # jobs on other machines cannot reach it
        offer_warm_process(workflow.snakemake_tmp_dir)
        print(announcement(SUITE, workflow.cores), file=sys.stderr, flush=True)


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
