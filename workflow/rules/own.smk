# The contract tests on runs of one's own. A failed check is a record: training goes on, and the last rule counts it.
rule contract:
    output:
        f"{FOLDER}/{{run}}/contract.json",
    log:
        f"{FOLDER}/{{run}}/logs/contract.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        options=lambda wildcards: SUITE.command_options(wildcards.run),
        specification=lambda wildcards: SUITE.specification_json(wildcards.run),
        code=lambda wildcards: SUITE.contract_code(wildcards.run),
        data=lambda wildcards: SUITE.data_state(wildcards.run),
    shell:
        "python -m benchmarks contract {wildcards.run} {params.options}"
        " --record --threads {threads} > {log} 2>&1"
