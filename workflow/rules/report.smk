# One long table of results, then everything that people read, then the verdict on failed cells.
# They read files for seconds, and run beside Snakemake where jobs go to a cluster. What was there stays until the new
# is whole (`update`): a page is worth more than none.
localrules:
    collect,
    report,
    verdict,


rule collect:
    input:
        again(RESULTS[0]),
        EVALUATED,
        REFERENCES,
    output:
        [update(file) for file in RESULTS],
    log:
        f"{FOLDER}/logs/collect.log",
    conda:
        "../../environment.yml"
    params:
        options=SUITE.report_options(),
    shell:
        "python -m benchmarks collect {params.options} 2> {log}"


rule report:
    input:
        again(PAGE),
        RESULTS[0],
        CONTRACTS,
    output:
        [shown(file, table, "table") for file, table in TABLES.items()],
        [shown(file, figure, "figure") for file, figure in FIGURES.items()],
        page=update(PAGE),
    log:
        f"{FOLDER}/logs/report{SELECTION}.log",
    conda:
        "../../environment.yml"
    params:
        options=SUITE.report_options(),
    shell:
        "python -m benchmarks report {params.options} 2> {log}"


rule verdict:
    input:
        PAGE,
    output:
        touch(VERDICT),
    log:
        f"{FOLDER}/logs/verdict{SELECTION}.log",
    conda:
        "../../environment.yml"
    params:
        options=SUITE.report_options(),
    shell:
        "python -m benchmarks verdict {params.options} 2> {log}"
