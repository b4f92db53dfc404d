# Training. A failure is a record, and the earlier record stays until the new one is there (`update`). Checkpoints lie
# beside it, so that another attempt continues: runtime need not grow with it, memory doubles once.
rule train:
    input:
        again(f"{FOLDER}/{{run}}/seed{{seed}}/run.json"),
    output:
        update(f"{FOLDER}/{{run}}/seed{{seed}}/run.json"),
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/train.log",
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        attempt=lambda wildcards, attempt: attempt,
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory_of(wildcards.run, attempt),
        disk_mb=lambda wildcards: limits_of(wildcards.run).disk_mb,
        runtime=lambda wildcards: limits_of(wildcards.run).runtime,
    params:
        options=lambda wildcards: options_of(wildcards.run),
    shell:
        "python -m benchmarks supervise {output} --attempt {resources.attempt} --"
        " train {wildcards.run} --seed {wildcards.seed} {params.options} --threads {threads} 2> {log}"
