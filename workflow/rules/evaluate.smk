# References and metrics. One evaluation job serves all metrics of a run and seed, since importing torch
# costs more than most of them; it computes only those whose weights, options or code changed.
rule reference:
    output:
        f"{FOLDER}/references/{{problem}}.json",
    log:
        f"{FOLDER}/references/{{problem}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        options=f"--profile {PROFILE}",
        code=lambda wildcards: SUITE.reference_code(),
    shell:
        "python -m benchmarks reference {wildcards.problem} {params.options} --threads {threads} 2> {log}"


rule evaluate:
    input:
        run=f"{FOLDER}/{{run}}/seed{{seed}}/run.json",
        reference=lambda wildcards: SUITE.reference_files(wildcards.run),
    output:
        f"{FOLDER}/{{run}}/seed{{seed}}/metrics.json",
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/evaluate.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=2000,
    params:
        options=lambda wildcards: SUITE.command_options(wildcards.run),
        metrics=lambda wildcards: SUITE.metrics_json(wildcards.run),
    shell:
        "python -m benchmarks evaluate {wildcards.run} --seed {wildcards.seed} {params.options}"
        " --threads {threads} 2> {log}"
