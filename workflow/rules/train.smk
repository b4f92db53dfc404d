# Training. The outputs of a failed job are deleted by Snakemake, so a failure is a record, and checkpoints
# lie beside the declared output, so that another attempt continues: runtime need not grow with it, memory doubles once.
# Device and threads are no params: changing them must not retrain.
rule train:
    output:
        f"{FOLDER}/{{run}}/seed{{seed}}/run.json",
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/train.log",
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory_of(wildcards.run, attempt),
        disk_mb=lambda wildcards: limits_of(wildcards.run).disk_mb,
        runtime=lambda wildcards: limits_of(wildcards.run).runtime,
    params:
        options=lambda wildcards: options_of(wildcards.run),
        specification=lambda wildcards: specification_of(wildcards.run),
        code=lambda wildcards: code_of(wildcards.run),
        data=lambda wildcards: SUITE.data_state(wildcards.run, int(wildcards.seed)),
    shell:
        "python -m benchmarks train {wildcards.run} --seed {wildcards.seed} {params.options}"
        " --threads {threads} 2> {log}"
