"""How a run in a profile differs from the paper's: what its numbers can be compared with hangs on it."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.plan.settling import WHOLE, share
from benchmarks.plan.suite import Suite


@dataclass(frozen=True)
class Setting:
    """`stand_in`: which data stand in for the paper's; `share` of its training images; `network`, if not its own.

    `serves`: the run says why that network serves to judge the paper's numbers all the same. `cut`: the profile cuts
    trainings short, whatever the method.
    """

    stand_in: str = ""
    share: float = 1.0
    network: str = ""
    serves: bool = False
    cut: bool = False

    @property
    def reduced(self) -> bool:
        """Whether training is shorter than the paper's."""
        return self.share < WHOLE

    @property
    def paper(self) -> bool:
        """Whether data, network and length of training are the paper's."""
        return not (self.stand_in or self.reduced or self.network)

    @property
    def lines(self) -> list[str]:
        """In words, for a reader."""
        share = f"{100 * self.share:.3g} % of the paper's training images" if self.reduced else ""
        return [line for line in (self.stand_in, share, self.network) if line]


def setting_of(suite: Suite, run: str) -> Setting:
    """The run's setting in the suite's profile."""
    name, _ = suite.dataset_of(run)
    definition, options, budget = suite.run(run), suite.train_options(run), suite.budget(run)
    size = budget.size or suite.profile.size
    other = size != "paper" and suite.components(run) != suite.components(run, "paper")
    return Setting(
        stand_in=f"{name} stands in for {definition.dataset}" if name != definition.dataset else "",
        share=share(options, definition),
        network=(budget.network or f"{size} networks") if other else "",
        serves=bool(budget.network),
        cut=suite.profile.max_steps is not None,
    )


def stand_ins(suite: Suite, runs: Iterable[str]) -> list[str]:
    """What stands in for what among these runs."""
    return sorted({setting_of(suite, run).stand_in for run in runs} - {""})
