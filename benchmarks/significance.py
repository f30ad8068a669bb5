"""Measures whether intervals, p-values and record counts keep their promises, on systems whose difference is known.

Covers simulated answers: each record has a difficulty that both systems share, and each system its own luck with it.
The true difference is that of a million records. What is wanted of each score:

- its 95% interval holds the true difference in 93 to 97% of the trials,
- equal systems are called different in about 5%,
- with as many records as `records_needed` asks for, the difference is detected in about 80%.

    python -m benchmarks.significance
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from src.files import write_json
from src.progress import progress_bar
from src.scoring.intervals import BATCH, RESAMPLES, Floats, RecordSums, mean_of, paired_difference, ratio_of_sums
from src.scoring.significance import ALPHA, Comparison, compare_systems, randomisation_p_value, records_needed
from src.scoring.summed_counts import BLEU_ORDERS, bleu_of_counts

RESULTS = Path("benchmarks/results/significance.json")
TRIALS, RECORDS = 1000, 200
POPULATION = 1_000_000  # records of which the true difference is taken
GAIN = 0.15  # of the first system, in logits: so small that it takes a few hundred records to see it
PILOTS = 100  # comparisons of RECORDS records whose median tells how many are needed
SCIPY_RESAMPLES = 200  # what scipy is timed with: its time grows with their number

Pair = tuple[RecordSums, RecordSums]
Simulation = Callable[[np.random.Generator, int, float], Pair]


def main() -> None:
    """Simulates every score, and times the resampling beside scipy's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.significance", description="Checks the statistics.")
    parser.add_argument("--trials", type=int, default=TRIALS, help="simulated evaluations of each kind")
    trials = parser.parse_args().trials
    scores = {name: measure_score(simulation, trials) for name, simulation in SIMULATIONS.items()}
    write_json(RESULTS, {"trials": trials, "records": RECORDS, "scores": scores, "speed": measure_speed()})


def render_table(results: dict[str, Any]) -> str:
    """The shares of each score beside what is wanted, as Markdown, and the time that a difference takes."""
    rows = [
        "| score | interval holds the truth | equal systems called different | records needed | difference detected |",
        "|---|---:|---:|---:|---:|",
        "| wanted | 93 to 97% | 5% | – | 80% |",
    ]
    for name, found in results["scores"].items():
        shares = (f"{found[share]:.1%}" for share in ("held", "equal_called_different", "detected"))
        held, different, detected = shares
        rows.append(f"| {name} | {held} | {different} | {found['records_needed']:,} | {detected} |")
    speed = results["speed"]
    return (
        f"{results['trials']:,} trials of each share, {results['records']} records each but in the last column.\n\n"
        + "\n".join(rows)
        + f"\n\nThe interval of one difference in BLEU over {speed['records']:,} records took {speed['seconds']} s, "
        f"and {speed['scipy_seconds']} s with scipy's bootstrap in the same run, both by {RESAMPLES:,} resamples."
    )


def measure_score(simulation: Simulation, trials: int, population: int = POPULATION) -> dict[str, float]:
    """The shares of trials in which a score's statistics say what they should.

    Args:
        simulation: draws the two systems' answers to some records.
        trials: of each share.
        population: records of which the true difference is taken.
    """
    random = np.random.default_rng(7)
    true = difference(simulation(random, population, GAIN))
    pilots = [compare(simulation(random, RECORDS, GAIN)) for _ in range(PILOTS)]
    needed = int(np.median([records_needed(pilot, true) or 0 for pilot in pilots]))

    def share(label: str, records: int, gain: float, holds: Callable[[Pair], bool]) -> float:
        with progress_bar(label, trials, "trials") as bar:
            found = []
            for _ in range(trials):
                found.append(holds(simulation(random, records, gain)))
                bar.update(1)
        return float(np.mean(found))

    return {
        "held": share("Intervals", RECORDS, GAIN, lambda pair: holds_truth(pair, true)),
        "equal_called_different": share("Equal systems", RECORDS, 0.0, is_significant),
        "records_needed": needed,
        "detected": share("Detecting", needed, GAIN, is_significant),
    }


def difference(pair: Pair) -> float:
    """The first system's score minus the second's."""
    return pair[0].estimate - pair[1].estimate


def compare(pair: Pair) -> Comparison:
    """The comparison of two systems."""
    return compare_systems(*pair, paired_difference(*pair))


def holds_truth(pair: Pair, true: float) -> bool:
    """Whether the interval of a difference holds the true one."""
    interval = paired_difference(*pair)
    return interval.low <= true <= interval.high


def is_significant(pair: Pair) -> bool:
    """Whether two systems are called different."""
    return randomisation_p_value(*pair) <= ALPHA


def simulate_chances(random: np.random.Generator, records: int, gain: float) -> list[Floats]:
    """How good each of two systems' answers is to every record, 0 to 1.

    Args:
        random: what draws.
        records: how many.
        gain: of the first system, in logits.
    """
    difficulty = random.normal(0, 1, records)
    logits = [difficulty + random.normal(0, 0.7, records) + shift for shift in (gain, 0.0)]
    return [1 / (1 + np.exp(-values)) for values in logits]


def simulate_means(random: np.random.Generator, records: int, gain: float) -> Pair:
    """A score that is a mean over records, as ROUGE-L is; arguments as of `simulate_chances`."""
    first, second = simulate_chances(random, records, gain)
    return mean_of(100 * first), mean_of(100 * second)


def simulate_losses(random: np.random.Generator, records: int, gain: float) -> Pair:
    """A loss per token, with lengths as skewed as those of descriptions; arguments as of `simulate_chances`."""
    tokens = np.ceil(random.lognormal(4.2, 0.6, records))
    first, second = (-np.log(chance) * tokens for chance in simulate_chances(random, records, gain))
    return ratio_of_sums(first, tokens), ratio_of_sums(second, tokens)


def simulate_bleu(random: np.random.Generator, records: int, gain: float) -> Pair:
    """Corpus BLEU of answers to references of skewed lengths; arguments as of `simulate_chances`."""
    references = np.ceil(random.lognormal(4.0, 0.5, records))

    def count(chance: Floats) -> RecordSums:
        words = np.ceil(references * random.uniform(0.8, 1.2, records)).astype(int)
        totals = np.array([np.maximum(words - order, 0) for order in range(BLEU_ORDERS)])
        correct = [random.binomial(total, chance ** (order + 1)) for order, total in enumerate(totals)]
        return RecordSums(np.vstack([words, references, correct, totals]).astype(float), bleu_of_counts)

    first, second = map(count, simulate_chances(random, records, gain))
    return first, second


SIMULATIONS: dict[str, Simulation] = {
    "mean over records, as ROUGE-L": simulate_means,
    "loss a token": simulate_losses,
    "corpus BLEU": simulate_bleu,
}


def measure_speed(records: int = 1000) -> dict[str, float]:
    """Seconds that the interval of a difference in BLEU takes with RESAMPLES resamples, ours and by scipy.

    Args:
        records: of the evaluation.
    """
    first, second = simulate_bleu(np.random.default_rng(7), records, GAIN)
    start = time.perf_counter()
    paired_difference(first, second)
    ours = time.perf_counter() - start
    scipy = time_scipy(first, second)
    return {"records": records, "seconds": round(ours, 2), "scipy_seconds": round(scipy, 2)}


def time_scipy(first: RecordSums, second: RecordSums) -> float:
    """Seconds that scipy's bootstrap takes for the same, by as many resamples as it is timed with.

    Args:
        first: one system's sums.
        second: the other's.
    """
    from scipy import stats

    def statistic(drawn: np.ndarray, axis: int) -> Floats:
        scores = (sums.score(sums.terms.take(drawn, axis=1).sum(axis=-1)) for sums in (first, second))
        one, other = scores
        return one - other

    start = time.perf_counter()
    stats.bootstrap(
        (np.arange(first.records),), statistic, n_resamples=SCIPY_RESAMPLES, batch=BATCH, method="percentile"
    )
    return (time.perf_counter() - start) * RESAMPLES / SCIPY_RESAMPLES


if __name__ == "__main__":
    main()
