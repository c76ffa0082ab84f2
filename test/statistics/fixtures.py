"""Writes fixtures.json: reference values from SciPy, each with the expression that made it.

    python3 test/statistics/fixtures.py        (SciPy 1.17.1)
"""
import json, pathlib
import numpy as np, scipy
from scipy import special, stats

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(20)
sample = lambda n, mean=0.0, spread=1.0: [round(float(x), 3) for x in rng.normal(mean, spread, n)]
pairs = [sample(6, 0.4), [0.25, -0.5, 1, 0, 0.75, 0.5, -0.25, 0.5], [1, 1, 0, -1, 1, 1, 0, 1, 1], sample(12, 0.2), sample(14, -0.3)]
twos = [(sample(8), sample(11, 0.8, 2)), (sample(30), sample(30, 0.5)), (sample(3), sample(40, 1, 0.2)), ([0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1]), ([0, 1], [1, 0]), ([0.5, 0.5, 0.5], [0.25, 0.5, 0.75, 0.5])]
cases = []

def case(function, arguments, expression, result=lambda x: x, **names):
    value = eval(expression, {"np": np, "stats": stats, "special": special, **names})
    cases.append({"function": function, "arguments": arguments, "command": expression, "expected": result(value)})

def bounds(x): return {"low": float(x[0]), "high": float(x[1])}

for x in [1e-3, 0.5, 1, 3.7, 12.5, 171, 2500.25]:
    case("logGamma", [x], f"special.gammaln({x})", float)
for x in [-3, 0, 0.1, 1.4, 1.6, 5, 20]:
    case("erfc", [x], f"special.erfc({x})", float)
for x, a, b in [(0.2, 2, 3), (0.999, 0.5, 30), (1e-6, 0.5, 0.5), (0.5, 400, 410), (0.37, 1500, 2600)]:
    case("incompleteBeta", [x, a, b], f"special.betainc({a}, {b}, {x})", float)
for p in [1e-200, 1e-9, 0.025, 0.3, 0.5, 0.975, 0.9999]:
    case("normalQuantile", [p], f"stats.norm.ppf({p})", float)
for p, df in [(0.025, 1), (0.975, 2.5), (0.9, 30), (1e-8, 5), (0.4, 1000), (0.995, 7)]:
    case("studentTQuantile", [p, df], f"stats.t.ppf({p}, {df})", float)
for t, df in [(-2.1, 3), (0.01, 12), (1.96, 1e6), (40, 2)]:
    case("studentTCdf", [t, df], f"stats.t.cdf({t}, {df})", float)
for t, df, shift in [(2, 10, 1), (1.7, 30, 2.8), (-0.5, 8, 0.3), (6, 60, 5), (2, 25, -1)]:
    case("noncentralTCdf", [t, df, shift], f"stats.nct.cdf({t}, {df}, {shift})", float)
for k, n, p in [(3, 10, 0.5), (60, 100, 0.5), (1, 400, 0.001)]:
    case("binomialTail", [k, n, p], f"stats.binom.sf({k} - 1, {n}, {p})", float)

for wins, losses in [(0, 0), (1, 0), (0, 1), (1, 1), (5, 0), (9, 2), (3, 12), (20, 20), (60, 35), (400, 350)]:
    n = wins + losses
    for alternative in ["two-sided", "greater", "less"]:
        expression = f"stats.binomtest({wins}, {n}, 0.5, alternative='{alternative}').pvalue" if n else "1.0"
        case("mcNemar", [wins, losses, alternative], expression, float)
for wins, losses in [(9, 2), (3, 12), (60, 35)]:
    case("mcNemarMid", [wins, losses], f"2 * stats.binom.cdf({min(wins, losses)}, {wins + losses}, 0.5) - stats.binom.pmf({min(wins, losses)}, {wins + losses}, 0.5)", float)

# Ties, all equal, and differences of one size that cancel out.
for d in pairs + [[0.0] * 5, [0.25] * 7, [1, -1, 1, -1], [0, 0, 0.5, 0.5, -0.5, 0.5, 0, 1, 1, -1]]:
    for alternative in ["two-sided", "greater", "less"]:
        case("pairedPermutation", [d, alternative],
             f"stats.permutation_test((d,), np.mean, permutation_type='samples', n_resamples=np.inf, alternative='{alternative}').pvalue", float, d=d)

for first, second in twos:
    for alternative in ["two-sided", "greater", "less"]:
        case("welch", [first, second, alternative],
             f"stats.ttest_ind(second, first, equal_var=False, alternative='{alternative}').pvalue", float, first=first, second=second)
    case("welchBounds", [first, second, 0.95],
         "stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)", bounds, first=first, second=second)

for k, n, level in [(0, 1, 0.95), (1, 1, 0.95), (1, 2, 0.99), (0, 10, 0.95), (10, 10, 0.95), (3, 30, 0.9), (57, 60, 0.99), (500, 1000, 0.95)]:
    case("wilson", [k, n, level], f"stats.binomtest({k}, {n}).proportion_ci({level}, method='wilson')", bounds)

for d in [pairs[1], pairs[3], sample(40, 0.3), [0.0] * 20 + [1.0] * 9 + [-1.0] * 4]:
    r = stats.bootstrap((d,), np.mean, n_resamples=400, method="BCa", confidence_level=0.95, rng=np.random.default_rng(7))
    cases.append({"function": "bcaBounds", "arguments": [d, [float(x) for x in r.bootstrap_distribution], 0.95],
                  "command": "stats.bootstrap((d,), np.mean, n_resamples=400, method='BCa', rng=np.random.default_rng(7)).confidence_interval",
                  "expected": bounds(r.confidence_interval)})

case("cohensD", twos[0], "(np.mean(b) - np.mean(a)) / np.sqrt((np.var(a, ddof=1) * (len(a) - 1) + np.var(b, ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2))", float, a=twos[0][0], b=twos[0][1])
case("cohensDz", [pairs[3]], "np.mean(d) / np.std(d, ddof=1)", float, d=pairs[3])
case("cliffsDelta", twos[0], "2 * stats.mannwhitneyu(b, a).statistic / (len(a) * len(b)) - 1", float, a=twos[0][0], b=twos[0][1])
for p in [[0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.9], [0.05]]:
    m = len(p); order = np.argsort(p); adjusted = np.empty(m)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * (m - np.arange(m))))
    cases.append({"function": "holm", "arguments": [p], "command": "np.minimum(1, np.maximum.accumulate(np.sort(p) * (m - np.arange(m))))", "expected": [float(x) for x in adjusted]})

for pairs_n, psi, delta in [(60, 0.43, 0.2), (100, 0.35, 0.1), (30, 0.5, 0.3)]:
    case("mcNemarPower", [pairs_n, psi, delta],
         "sum(stats.binom.pmf(n, N, psi) * sum(stats.binom.pmf(w, n, (psi + delta) / (2 * psi)) for w in range(n + 1) if stats.binomtest(w, n, 0.5).pvalue <= 0.05) for n in range(1, N + 1))",
         float, N=pairs_n, psi=psi, delta=delta)
for n, dz in [(20, 0.5), (50, 0.4), (10, -1.1)]:
    case("tPower", [dz, 1 / n ** 0.5, n - 1],
         "stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, dz * n ** 0.5) + stats.nct.cdf(stats.t.ppf(0.025, n - 1), n - 1, dz * n ** 0.5)", float, n=n, dz=dz)

text = ",\n".join(json.dumps(c) for c in cases)
(here / "fixtures.json").write_text('{\n"madeWith": "SciPy %s",\n"cases": [\n%s\n]}\n' % (scipy.__version__, text))
print(len(cases), "cases")
