# References and metrics. One evaluation job serves all metrics of a run and seed, since importing torch
# costs more than most of them; it computes only those whose weights, options or code changed.
rule reference:
    output:
        f"{FOLDER}/references/{{problem}}.json",
    log:
        f"{FOLDER}/references/{{problem}}.log",
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        disk_mb=1000,
        runtime=240,
    params:
        options=f"--profile {PROFILE}",
        code=lambda wildcards: SUITE.reference_code(),
    shell:
        "python -m benchmarks reference {wildcards.problem} {params.options} --threads {threads} 2> {log}"


rule evaluate:
    input:
        run=f"{FOLDER}/{{run}}/seed{{seed}}/run.json",
        reference=lambda wildcards: references_of(wildcards.run),
    output:
        f"{FOLDER}/{{run}}/seed{{seed}}/metrics.json",
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/evaluate.log",
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
        metrics=lambda wildcards: metrics_of(wildcards.run),
    shell:
        "python -m benchmarks evaluate {wildcards.run} --seed {wildcards.seed} {params.options}"
        " --threads {threads} 2> {log}"
