"""Writes agreement.json, the values of other people's programs that this package's tests compare with.

    python -m venv venv && venv/bin/pip install irrCAC==0.4.4 krippendorff==0.9.0 scikit-learn==1.9.1 scipy==1.12.0 pandas==2.3.3 numpy==1.26.4
    venv/bin/python golden.py

irrCAC is the Python edition of Gwet's own R package and ships his Handbook's data; krippendorff is by Santiago
Castro. Categories are numbered from 0; -1 is a missing rating.
"""

import json
import os

import krippendorff
import numpy as np
import pandas as pd
from irrCAC.datasets import raw_4raters, raw_5observers
from irrCAC.raw import CAC
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = ["identity", "linear", "quadratic", "ordinal"]
random = np.random.default_rng(5)


def numbered(frame):
    """A data set's ratings as rows of numbers, its categories counted from 0 in rising order."""
    values = frame.to_numpy(dtype=float)
    levels = sorted(set(values[~np.isnan(values)]))
    return len(levels), [[-1 if np.isnan(x) else levels.index(x) for x in row] for row in values]


def drawn(items, raters, q, missing):
    """Raters who see an item's category with an error, and leave some out."""
    truth = random.integers(0, q, items)
    table = np.clip(truth[:, None] + np.rint(random.normal(0, 1.2, (items, raters))).astype(int), 0, q - 1)
    table[random.random((items, raters)) < missing] = -1
    return q, [[int(x) for x in row] for row in table]


def case(name, q, rows):
    table = np.array([[np.nan if x < 0 else x for x in row] for row in rows], dtype=float)
    out = {"name": name, "q": q, "rows": rows, "gwet": {}, "alpha": {}, "kappa": {}}
    frame = pd.DataFrame(table + 1)
    for weights in WEIGHTS:
        cac = CAC(frame, weights=weights, categories=[float(k + 1) for k in range(q)], digits=12)
        out["gwet"][weights] = cac.gwet()["est"]["coefficient_value"]
    for scale in ["nominal", "ordinal", "interval"]:
        out["alpha"][scale] = krippendorff.alpha(reliability_data=table.T, level_of_measurement=scale, value_domain=list(range(q)))
    if len(rows[0]) == 2:
        both = [row for row in rows if min(row) >= 0]
        a, b = zip(*both)
        for kind, weights in {"identity": None, "linear": "linear", "quadratic": "quadratic"}.items():
            out["kappa"][kind] = cohen_kappa_score(a, b, labels=list(range(q)), weights=weights)
    return out


abstractors = [[k, l] for k, row in enumerate([[13, 0, 0], [0, 20, 7], [0, 4, 56]]) for l, n in enumerate(row) for _ in range(n)]
first = lambda dataset: dataset().select_dtypes("number").drop(columns=["Units", "Group"], errors="ignore")
cases = [
    case("cac.raw4raters", *numbered(first(raw_4raters))),
    case("cac.raw5observers", *numbered(first(raw_5observers))),
    case("cont3x3abstractors", 3, abstractors),
    case("two raters, eight categories", *drawn(60, 2, 8, 0)),
    case("two raters, some missing", *drawn(60, 2, 4, 0.15)),
    case("five raters, eight categories, half missing", *drawn(80, 5, 8, 0.5)),
    case("labels, three raters", *drawn(50, 3, 2, 0.3)),
    case("rare category", 2, [[0, 0]] * 94 + [[0, 1]] * 3 + [[1, 0]] * 3),
]
trials = [(0, 1), (1, 1), (3, 10), (5, 10), (0, 20), (61, 100), (498, 1000), (53, 107), (5210, 10000), (50212, 100000), (499000, 1000000)]
binomial = [{"successes": k, "n": n, "p": binomtest(k, n).pvalue} for k, n in trials]
with open(os.path.join(HERE, "agreement.json"), "w") as f:
    json.dump({"cases": cases, "binomial": binomial}, f, separators=(",", ":"))
    f.write("\n")
