"""Commands for a user's own methods and results: contract, and `evaluate FILE --as NAME`."""

import argparse
import sys
from pathlib import Path

from benchmarks.cli.common import FAILED, Add, locked, suite_of, tune_process
from benchmarks.jobs import failures


def contract(arguments: argparse.Namespace) -> int:
    """Check what every method must do on one run, a line for each check; exit status 1 if one does not hold."""
    suite = suite_of(arguments)
    suite.run(arguments.run)
    file, key = Path("results") / suite.name / arguments.run / "contract.json", suite.contract_key(arguments.run)
    if arguments.failed:
        return failures.contract(arguments.run, key, file, arguments.failed)
    tune_process(arguments.threads)
    from benchmarks.hardware.host import data_root
    from benchmarks.jobs.contract import record_of
    from benchmarks.store.records import write

    record = record_of(suite, arguments.run, data_root(arguments.data_root)).model_copy(update={"key": key})
    for check, wrong in record.checks.items():
        print(f"{'FAILED' if wrong else 'holds'}: {check}" + (f": {wrong}" if wrong else ""))
    if record.reason:
        print(f"{record.status}: {record.reason}")
    if arguments.record:
        write(file, record)
        return 0
    return int(record.status == "failed")


def bring(arguments: argparse.Namespace) -> int:
    """Measure samples or weights from elsewhere by a table's metrics, and print a copy of the table with them."""
    import pandas

    from benchmarks.errors import SuiteError

    if arguments.name is None:
        raise SuiteError(f"{arguments.run}: a file needs a name for its row; say --as NAME")
    suite = suite_of(arguments)
    tune_process(arguments.threads)
    from benchmarks.hardware.host import data_root
    from benchmarks.jobs.collect import folder_of, rows_of
    from benchmarks.jobs.external import bring as run
    from benchmarks.plan.suite import Job
    from benchmarks.report import against, compare, tables
    from benchmarks.report.faults import Faults

    source, name, root = Path(arguments.run), arguments.name, data_root(arguments.data_root)
    with locked(folder_of(suite) / "own"):
        options = {"like": arguments.like, "dataset": arguments.dataset, "device_name": arguments.device}
        copy, folder = run(suite, source, name, arguments.table, root=root, **options)
    own = Job(name, 0, suite.specification(name), suite.metric_options(name))
    rows = rows_of(suite, own, folder)
    for key, job in suite.jobs.items():
        rows += rows_of(suite, job, folder_of(suite) / key) if job.run != name else []
    frame, reports = pandas.DataFrame(rows), Path("reports") / suite.name
    reports.mkdir(parents=True, exist_ok=True)
    grid = compare.table_cells(suite, frame, suite.tables[copy].copy_of, suite.tables[copy])
    tables.write(suite, copy, suite.tables[copy], grid, reports)
    faults = Faults()
    against.write(suite, frame, {name}, reports, faults)
    print((reports / f"{copy}.md").read_text(encoding="utf-8"))
    print(f"record: {folder}; table: {reports / copy}.md, .tex, .csv", file=sys.stderr)
    return int(bool(faults.found))


def register(add: Add) -> None:
    """The command and its options."""
    options = add(contract)
    options.add_argument("run")
    options.add_argument("--record", action="store_true", help="write contract.json and end with status 0")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--failed", metavar="REASON", help=FAILED)
