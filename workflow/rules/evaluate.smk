# References and metrics. One evaluation job serves all metrics of a run and seed, since importing torch
# costs more than most of them; it computes only those whose weights, options or code changed.
def reference_of(wildcards):
    dataset = SUITE.dataset_of(wildcards.run)[0]
    return f"{FOLDER}/references/{dataset}.json" if dataset in SUITE.problems else []


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
        reference=reference_of,
    output:
        f"{FOLDER}/{{run}}/seed{{seed}}/metrics.json",
    log:
        f"{FOLDER}/{{run}}/seed{{seed}}/logs/evaluate.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=2000,
    params:
        options=options_of,
        metrics=lambda wildcards: SUITE.metrics_json(job_of(wildcards)),
    shell:
        "python -m benchmarks evaluate {wildcards.run} --seed {wildcards.seed} {params.options}"
        " --threads {threads} 2> {log}"
