# References and metrics. One evaluation job serves all metrics of a run and seed, since importing torch
# costs more than most of them; it computes only those whose weights, options or code changed.
rule reference:
    input:
        again(f"{FOLDER}/references/{{problem}}.json"),
    output:
        update(f"{FOLDER}/references/{{problem}}.json"),
    log:
        f"{FOLDER}/references/{{problem}}.log",
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        attempt=lambda wildcards, attempt: attempt,
        mem_mb=4000,
        disk_mb=1000,
        runtime=240,
    params:
        options=f"--profile {PROFILE}",
    shell:
        "python -m benchmarks supervise {output} --attempt {resources.attempt} --"
        " reference {wildcards.problem} {params.options} --threads {threads} 2> {log}"


rule evaluate:
    input:
        again(f"{FOLDER}/{{run}}/seed{{seed}}/metrics.json"),
        run=f"{FOLDER}/{{run}}/seed{{seed}}/run.json",
        reference=lambda wildcards: references_of(wildcards.run),
    output:
        update(f"{FOLDER}/{{run}}/seed{{seed}}/metrics.json"),
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/evaluate.log",
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
        " evaluate {wildcards.run} --seed {wildcards.seed} {params.options} --threads {threads} 2> {log}"
