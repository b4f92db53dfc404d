# One long table of results, then everything that people read, then the verdict on failed cells.
# They read files for seconds, and run beside Snakemake where jobs go to a cluster.
localrules:
    collect,
    report,
    verdict,


rule collect:
    input:
        EVALUATED,
        REFERENCES,
    output:
        f"{FOLDER}/results.parquet",
        f"{FOLDER}/results.csv",
        f"{FOLDER}/results.json",
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
        f"{FOLDER}/results.parquet",
        CONTRACTS,
    output:
        [shown(name, table, "table", "html") for name, table in SUITE.tables.items()],
        [shown(name, figure, "figure", "png") for name, figure in SUITE.figures.items()],
        page=f"reports/{PROFILE}/index.html",
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../../environment.yml"
    params:
        options=SUITE.report_options(),
        code=SUITE.report_code(),
    shell:
        "python -m benchmarks report {params.options} 2> {log}"


rule verdict:
    input:
        f"reports/{PROFILE}/index.html",
    output:
        touch(f"{FOLDER}/.verdict"),
    log:
        f"{FOLDER}/logs/verdict.log",
    conda:
        "../../environment.yml"
    params:
        options=SUITE.report_options(),
    shell:
        "python -m benchmarks verdict {params.options} 2> {log}"
