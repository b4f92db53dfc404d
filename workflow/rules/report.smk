# One long table of results, then everything that people read, then the verdict on failed cells.
rule collect:
    input:
        EVALUATED,
        REFERENCES,
    output:
        FOLDER + "/results.parquet",
        FOLDER + "/results.csv",
    log:
        FOLDER + "/logs/collect.log",
    conda:
        "../../environment.yml"
    shell:
        "python -m benchmarks collect {OPTIONS} 2> {log}"


rule report:
    input:
        FOLDER + "/results.parquet",
    output:
        f"reports/{PROFILE}/index.html",
    log:
        FOLDER + "/logs/report.log",
    params:
        code=SUITE.report_code(),
    conda:
        "../../environment.yml"
    shell:
        "python -m benchmarks report {OPTIONS} 2> {log}"


rule verdict:
    input:
        f"reports/{PROFILE}/index.html",
    output:
        touch(FOLDER + "/.verdict"),
    log:
        FOLDER + "/logs/verdict.log",
    conda:
        "../../environment.yml"
    shell:
        "python -m benchmarks verdict {OPTIONS} 2> {log}"
