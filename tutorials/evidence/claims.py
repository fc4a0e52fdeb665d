"""What is claimed of each method, as a difference that runs can show; make.py runs and judges it.

Each claim compares an arm with its control on the same draws, heads and orders, seed by seed, and
averages over its cells (a data set and a number of labels) before it is tested, so that a claim is
one test. Holm's correction is over all claims that have been run. The order is that of their worth
to a reader: what there is no time for is the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Expected = Literal["higher", "lower", "level"]
What = Literal["score", "spread", "epochs"]


@dataclass(frozen=True)
class Arm:
    """How one side of a claim is trained.

    Args:
        method: a word of `minift info --methods`; in a pool, a strategy.
        times: its usual number of epochs is multiplied by this.
        labels: in place of the cell's.
    """

    method: str
    times: int = 1
    labels: int | None = None

    def __str__(self) -> str:
        times = f", {self.times} times the steps" if self.times > 1 else ""
        return self.method + times + (f", {self.labels} labels" if self.labels else "")


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        name: of its plot and its heading's anchor.
        says: the claim, a sentence.
        source: who claims it.
        arm, control: what is compared; the difference is arm minus control.
        cells: of training, "set:labels"; of asking, names of pools (see `make.pool`).
        expected: the sign that is claimed; "level" claims that the difference is within `margin`.
        what: what is compared: the test score, its distance from the mean over seeds ("spread"),
            or the number of epochs.
        encoder: whose weights are fine-tuned.
        seeds: how many.
        margin: the least difference that would matter, in the units of `what`.
    """

    name: str
    says: str
    source: str
    arm: Arm
    control: Arm
    cells: tuple[str, ...]
    expected: Expected = "higher"
    what: What = "score"
    encoder: str = "mini"
    seeds: int = 10
    margin: float = 0.01

    @property
    def asks(self) -> bool:
        """Whether it is about what to label next."""
        return self.cells[0] in POOLS


POOLS = ("sst2", "ag_news", "banking77", "sst2skew", "ag_newsskew")
TEXTS = ("sst2:100", "sst2:300", "sst2:1000", "ag_news:100", "ag_news:300", "ag_news:1000")
SETS = ("sst2:300", "cola:1000", "qnli:1000")
FULL, HALF = Arm("full"), "freeze:1"  # half of mini's three layers, rounded down
CHEN = "Chen et al. (2021), who combine it with others"

CLAIMS = (
    Claim("ulmfit", "ULMFiT's three rules together are better than full fine-tuning",
          "Howard & Ruder (2018), for an LSTM", Arm("ulmfit"), FULL, TEXTS, seeds=5),
    Claim("heated", "Heated-up softmax is better than the plain loss",
          CHEN, Arm("heated:4,1,0.5"), FULL, TEXTS, seeds=5),
    Claim("fgm", "Adversarial training is better than training without",
          CHEN, Arm("fgm:0.5"), FULL, TEXTS, seeds=5),
    Claim("bald-skewed", "BALD beats random draws where one class is rare (1 text in 10)",
          "the motive of active learning", Arm("bald"), Arm("random"),
          ("sst2skew", "ag_newsskew"), encoder="minilm"),
    Claim("entropy-skewed", "Entropy beats random draws where one class is rare",
          "the motive of active learning", Arm("entropy"), Arm("random"),
          ("sst2skew", "ag_newsskew"), encoder="minilm"),
    Claim("bald-balanced", "BALD beats random draws on balanced pools",
          "Griesshaber et al. (2020)", Arm("bald"), Arm("random"),
          ("sst2", "ag_news", "banking77"), encoder="minilm"),
    Claim("entropy-balanced", "Entropy beats random draws on balanced pools",
          "Griesshaber et al. (2020) as the baseline", Arm("entropy"), Arm("random"),
          ("sst2", "ag_news", "banking77"), encoder="minilm"),
    Claim("bitfit-long", "BitFit with three times the steps is level with full fine-tuning",
          "Ben Zaken et al. (2022), below about 2,000 labels", Arm("bitfit", 3), FULL, SETS,
          "level", margin=0.02),
    Claim("bitfit-short", "BitFit is level with full fine-tuning in the same steps",
          "what a reader might try first", Arm("bitfit"), FULL, SETS, "level", margin=0.02),
    Claim("bitfit-two-terms", "The biases of query and intermediate do nearly as well as all",
          "Ben Zaken et al. (2022)", Arm("bitfit:query,intermediate", 3), Arm("bitfit", 3), SETS,
          "level", margin=0.02),
    Claim("child-d-random", "The Fisher mask of Child-Tuning D is better than a random one",
          "Xu et al. (2021)", Arm("child-d:0.3"), Arm("child-d:0.3,random"), SETS),
    Claim("child-d-lowest", "The mask of the highest Fisher scores beats that of the lowest",
          "Xu et al. (2021)", Arm("child-d:0.3"), Arm("child-d:0.3,lowest"), SETS),
    Claim("child-f", "Child-Tuning F is better than full fine-tuning at rate * sqrt(p)",
          "Xu et al. (2021) compare with the full rate only", Arm("child-f:0.3"),
          Arm("full-sqrt:0.3"), SETS),
    Claim("adaptive-epochs", "Adaptive fine-tuning takes fewer epochs when there are more labels",
          "Stollenwerk (2022)", Arm("adaptive", labels=1200), Arm("adaptive", labels=150),
          ("wnut17:150", "ncbi_disease:150"), "lower", "epochs", margin=1.0),
    Claim("adaptive-f1", "Adaptive fine-tuning is better than a fixed length of 5 epochs",
          "Stollenwerk (2022)", Arm("adaptive"), Arm("original"),
          ("wnut17:300", "ncbi_disease:300")),
    Claim("freezing", "Freezing the lower half, rounded down, is level with full fine-tuning",
          "Griesshaber et al. (2020)", Arm(HALF), FULL, SETS, "level", margin=0.02),
    Claim("freezing-steadier", "Freezing the lower half varies less from seed to seed",
          "Griesshaber et al. (2020)", Arm(HALF), FULL, SETS, "lower", "spread", margin=0.005),
    Claim("freezing-output", "Freezing the layer at the output is worse than that at the input",
          "Griesshaber et al. (2020)", Arm("freeze:-1"), Arm("freeze:1"), SETS, "lower"),
)  # fmt: skip

NOT_YET = {
    "Pruning all that is not the child is a catastrophe (Xu et al. 2021)": "needs a run that "
    "prunes; page 06 shows it once, live",
    "Distillation with unlabelled text at 150 to 1,500 sentences": "the table of version 0.1 "
    "below; three seeds, about 3 hours for one set",
    "KL is better than the reference's mean squared error": "needs the students of the table above",
    "BALD with everything learning, and with the paper's CNN head": "a training per round: about "
    "ten times the cost of a solved head",
    "F1 and stability rise with an adaptive length, against a length found by search": "needs the "
    "search; the claim above is against a fixed length",
}
