# References and metrics. One evaluation job serves all metrics of a run and seed, since importing torch
# costs more than most of them; it computes only those whose weights, options or code changed.
def reference_of(wildcards):
    dataset = SUITE.dataset_of(wildcards.run)[0]
    return f"{FOLDER}/references/{dataset}.json" if dataset in SUITE.problems else []


rule reference:
    output:
        FOLDER + "/references/{problem}.json",
    log:
        FOLDER + "/references/{problem}.log",
    params:
        code=lambda wildcards: SUITE.reference_code(),
    threads: 1
    resources:
        mem_mb=2000,
    conda:
        "../../environment.yml"
    shell:
        "python -m benchmarks reference {wildcards.problem} {OPTIONS} --threads {threads} 2> {log}"


rule evaluate:
    input:
        run=FOLDER + "/{run}/seed{seed}/run.json",
        reference=reference_of,
    output:
        FOLDER + "/{run}/seed{seed}/metrics.json",
    log:
        FOLDER + "/{run}/seed{seed}/logs/evaluate.log",
    params:
        metrics=lambda wildcards: SUITE.metrics_json(job_of(wildcards)),
    threads: 1
    resources:
        gpu=1,
        mem_mb=2000,
    conda:
        "../../environment.yml"
    shell:
        "python -m benchmarks evaluate {wildcards.run} --seed {wildcards.seed} {OPTIONS} {DATA}"
        " --threads {threads} 2> {log}"
