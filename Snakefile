# Models between VAE and GAN: every table, figure and claim of the papers, from one command.
#   snakemake --cores all                            profile quick: no download, minutes
#   snakemake --cores all --config profile=laptop    real data; see README.md
from pathlib import Path

from benchmarks.plan.forecast import announcement
from benchmarks.hardware import import_server
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
        import_server.offer()
        print(
            announcement(SUITE, workflow.cores, AGAIN), file=sys.stderr, flush=True
        )


onerror:
    if workflow.is_main_process and not workflow.local_exec:
        # a job may be lost with its machine and leave no record: the page shows the rest
        shell(
            f"python -m benchmarks collect {SUITE.report_options()} &&"
            f" python -m benchmarks report {SUITE.report_options()}"
        )


rule all:
    default_target: True
    input:
        TRAINED,
        EVALUATED,
        REFERENCES,
        CONTRACTS,
        RESULTS,
        list(TABLES),
        list(FIGURES),
        PAGE,
        VERDICT,


rule trained:
    input:
        TRAINED,


rule evaluated:
    input:
        EVALUATED,
