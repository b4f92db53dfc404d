# Training. The outputs of a failed job are deleted by Snakemake, so a failure is a record, and checkpoints
# lie beside the declared output. Device and threads are no params: changing them must not retrain.
rule train:
    output:
        f"{FOLDER}/{{run}}/seed{{seed}}/run.json",
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/train.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=2000,
    params:
        options=lambda wildcards: SUITE.command_options(wildcards.run),
        specification=lambda wildcards: SUITE.specification_json(wildcards.run),
        code=lambda wildcards: SUITE.code(wildcards.run),
        data=lambda wildcards: SUITE.data_state(wildcards.run),
    shell:
        "python -m benchmarks train {wildcards.run} --seed {wildcards.seed} {params.options}"
        " --threads {threads} 2> {log}"
