"""Faults: processes killed at random moments, full disks, damaged and missing files, losses that become NaN.

`python -m tests.faults --kills 100 --minutes 30 --seed 0` tries them on the methods of the smoke profile and writes
reports/published/faults.json. Each trial ends as

- `equal`: the same commands, given again, end with bitwise the weights, values and arrays of an undisturbed run;
- `clear error`: first one line that names the file and what to do, and after that the same as above;
- or a defect: `wrong number`, `lost` (finished work is done again), `half file` or `traceback`.
"""

import os

# no threads before a fork, as in benchmarks/hardware/import_server.py
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
