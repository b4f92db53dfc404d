"""What a person sees while training: a bar at a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm


class Progress:
    """Losses, images/s and time left; a line every `line_every` seconds where there is no terminal."""

    def __init__(self, label: str, start: int, total: int, images_per_round: int, line_every: float = 20.0):
        self.label, self.start, self.total, self.images = label, start, total, images_per_round
        self.line_every, self.began = line_every, time.monotonic()
        self.last_line = self.began
        live = sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=start, desc=label, unit="round", disable=not live)

    def seconds(self) -> float:
        """Seconds since this process began to train."""
        return time.monotonic() - self.began

    def rate(self, step: int) -> float:
        """Training images per second so far."""
        return (step - self.start) * self.images / max(self.seconds(), 1e-9)

    def update(self, step: int, losses: Mapping[str, float]) -> None:
        """Show the state after round `step`."""
        text = " ".join(f"{name} {value:.4g}" for name, value in losses.items())
        rate = self.rate(step)
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix_str(f"{text} {rate:,.0f} images/s", refresh=False)
        now = time.monotonic()
        if self.bar.disable and now - self.last_line >= self.line_every:
            self.last_line = now
            left = (self.total - step) * self.images / max(rate, 1e-9)
            line = f"{self.label} round {step:,}/{self.total:,} {text} {rate:,.0f} images/s {left:,.0f} s left"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy."""
        self.bar.close()
