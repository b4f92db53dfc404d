# The contract tests on runs of one's own. A failed check is a record: training goes on, and the last rule counts it.
rule contract:
    input:
        again(f"{FOLDER}/{{run}}/contract.json"),
    output:
        update(f"{FOLDER}/{{run}}/contract.json"),
    log:
        f"{FOLDER}/{{run}}/logs/contract.log",
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        attempt=lambda wildcards, attempt: attempt,
        mem_mb=2000,
    params:
        options=lambda wildcards: options_of(wildcards.run),
    shell:
        "python -m benchmarks supervise {output} --attempt {resources.attempt} --"
        " contract {wildcards.run} {params.options} --record --threads {threads} > {log} 2>&1"
