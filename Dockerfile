# The suite in a container: docker build -t vgbench . && docker run -v "$PWD/results:/vgbench/results" -v "$PWD/reports:/vgbench/reports" vgbench
FROM python:3.11-slim
WORKDIR /vgbench
COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e .
ENTRYPOINT ["snakemake"]
CMD ["--cores", "all"]
