"""What the comparisons have in common: how a side is run, and how its figures are shown."""

import json
import os
import statistics
import subprocess
import sys


def environment(isa, threads):
    """environment holds both sides to the instruction set and to so many threads; "best" is what each finds best."""
    held = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    if isa == "avx2":
        held |= {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                 "OPENBLAS_CORETYPE": "Haswell"}
    return held | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1"}


def run(environment, *command):
    """run returns the JSON object that the command wrote last."""
    done = subprocess.run([str(c) for c in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[1]}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def shown(values, digits):
    """shown is the median of the runs, and all of them."""
    return f"{statistics.median(values):.{digits}f} ({', '.join(f'{v:.{digits}f}' for v in sorted(values))})"
