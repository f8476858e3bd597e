"""Makes metrics.json: predictions, and what scikit-learn, scipy, numpy and cleanlab say of them.

    pip install scikit-learn==1.9.1 scipy==1.17.1 cleanlab==2.9.0
    python make_metrics.py > metrics.json

The data are drawn: classes of very different size, one that is never shown, one that is never
predicted, equal confidences, equal scores, overconfident answers. Probabilities have six decimals, as linnaeus
writes them.
"""

import json
import sys
import warnings

import numpy
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from scipy.optimize import brentq
from scipy.stats import fisher_exact
from sklearn import metrics

FLOOR = 5e-7
CLASSES = 7


def draw(seed, images, grid=None):
    """Truth and N x CLASSES probabilities with six decimals."""
    random = numpy.random.default_rng(seed)
    truth = random.choice([0, 1, 2, 3, 4, 6], images, p=[0.5, 0.2, 0.15, 0.1, 0.03, 0.02])
    logits = random.normal(0, 2.2, (images, CLASSES))
    logits[numpy.arange(images), truth] += 2.5
    logits[:, 4] -= 30  # class 4 is never predicted; class 5 is never shown
    logits[::17] *= 3
    if grid:
        logits = numpy.round(logits / grid) * grid
    p = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    p = numpy.round(p / p.sum(axis=1, keepdims=True), 6)
    return truth, p


def order(p):
    """Classes from the most probable on; equal ones by index."""
    return numpy.lexsort((numpy.arange(CLASSES), -p))


def bins(confidence, right):
    edges = numpy.linspace(0, 1, 16)
    at = numpy.searchsorted(edges[1:-1], confidence)
    gaps = []
    for i in range(15):
        here = at == i
        if here.any():
            gaps.append((here.sum(), right[here].mean() - confidence[here].mean()))
    ece = sum(n * abs(gap) for n, gap in gaps) / len(confidence)
    return ece, max(abs(gap) for _, gap in gaps)


def temperature(truth, p):
    # Probabilities that are written as 0 share what the others leave; the true one is FLOOR at least.
    zero = p < FLOOR
    share = numpy.clip(numpy.maximum(1 - p.sum(axis=1), 0) / numpy.maximum(zero.sum(axis=1), 1), 1e-9, FLOOR)
    p = numpy.where(zero, share[:, None], p)
    here = (numpy.arange(len(truth)), truth)
    p[here] = numpy.maximum(p[here], FLOOR)
    logs = numpy.log(p)
    mine = logs[numpy.arange(len(truth)), truth]

    def softmax(beta):
        q = numpy.exp(beta * logs - (beta * logs).max(axis=1, keepdims=True))
        return q / q.sum(axis=1, keepdims=True)

    beta = brentq(lambda b: ((softmax(b) * logs).sum(axis=1) - mine).sum(), 0.05, 20, xtol=1e-14, rtol=1e-14)
    right = order_all(p)[:, 0] == truth
    value = lambda b: [
        float(-numpy.log(softmax(b)[numpy.arange(len(truth)), truth]).mean()),
        float(bins(softmax(b).max(axis=1), right)[0]),
    ]
    before, after = value(1.0), value(beta)
    return {"value": 1 / beta, "log_loss": [before[0], after[0]], "ece": [before[1], after[1]]}


def order_all(p):
    return numpy.array([order(row) for row in p])


def expect(truth, p, complete):
    """p with zeros for what is not listed."""
    ranked = order_all(p)
    predicted = ranked[:, 0]
    confidence = p[numpy.arange(len(p)), predicted]
    right = predicted == truth
    shown = sorted(set(truth) | set(predicted))
    out = {"accuracy": metrics.accuracy_score(truth, predicted)}
    out["top3"] = metrics.top_k_accuracy_score(truth, tie_broken(p), k=3, labels=range(CLASSES))
    out["balanced_accuracy"] = metrics.balanced_accuracy_score(truth, predicted)
    for average in ["macro", "weighted"]:
        three = metrics.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)
        for name, value in zip(["precision", "recall", "f1"], three):
            out[f"{average}_{name}"] = value
    out["mcc"] = metrics.matthews_corrcoef(truth, predicted)
    out["kappa"] = metrics.cohen_kappa_score(truth, predicted)
    table = metrics.precision_recall_fscore_support(truth, predicted, labels=shown, zero_division=0)
    out["classes"] = [[int(c), *map(float, row)] for c, *row in zip(shown, *table)]
    out["confidence_brier"] = metrics.brier_score_loss(right, confidence)
    out["ece"], out["mce"] = bins(confidence, right)
    precision, recall, thresholds = metrics.precision_recall_curve(right, confidence)
    kept = [(confidence >= t).sum() for t in thresholds]
    out["coverage"] = [[float(t), int(n), float(a)] for t, n, a in zip(thresholds, kept, precision)][::-1]
    out["area"] = float(numpy.mean([1 - right[confidence >= c].mean() for c in confidence]))
    out["average_precision"] = [
        [int(c), metrics.average_precision_score(truth == c, p[:, c])] for c in sorted(set(truth))
    ]
    if complete:
        out["log_loss"] = metrics.log_loss(truth, numpy.maximum(p, FLOOR), labels=range(CLASSES))
        out["brier"] = float(((p - numpy.eye(CLASSES)[truth]) ** 2).sum(axis=1).mean())
        out["temperature"] = temperature(truth, p)
        present = sorted(set(truth))
        index = {c: i for i, c in enumerate(present)}
        y, q = numpy.array([index[t] for t in truth]), p[:, present]
        issues = find_label_issues(y, q, filter_by="confident_learning", n_jobs=1)
        margin = 2 * get_label_quality_scores(y, q, method="normalized_margin", adjust_pred_probs=False) - 1
        out["suspects"] = [[int(i), float(margin[i])] for i in numpy.flatnonzero(issues)]
    group = numpy.arange(len(truth)) % 3
    out["slices"] = [
        float(
            fisher_exact(
                [[right[group == g].sum(), (~right[group == g]).sum()], [right[group != g].sum(), (~right[group != g]).sum()]]
            ).pvalue
        )
        for g in range(3)
    ]
    return out


def tie_broken(p):
    """scikit-learn breaks ties of the k-th score by the higher index; linnaeus by the lower."""
    return p - numpy.arange(CLASSES) * 1e-9


def rows(truth, p, k):
    listed = [[[int(c), float(q[c])] for c in order(q)[:k]] for q in p]
    return [[int(t), top] for t, top in zip(truth, listed)]


def keep_best(p, k):
    best = numpy.zeros_like(p)
    for row, ranks in enumerate(order_all(p)[:, :k]):
        best[row, ranks] = p[row, ranks]
    return best


def main():
    warnings.simplefilter("ignore")
    cases = []
    for name, seed, images, grid, k in [
        ("complete", 1, 160, None, CLASSES),
        ("ties", 2, 120, 2.0, CLASSES),
        ("best three", 3, 150, None, 3),
    ]:
        truth, p = draw(seed, images, grid)
        expected = expect(truth, keep_best(p, k), k == CLASSES)
        cases.append({"name": name, "rows": rows(truth, p, k), "expected": expected})
    json.dump({"classes": CLASSES, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
