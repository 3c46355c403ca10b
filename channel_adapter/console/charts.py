"""Charts as coordinates, which a template draws as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channel_adapter.domain.insights import DayInsights

WIDTH: Final = 600
HEIGHT: Final = 160
_MARGIN: Final = 10
_WIDEST_BAR: Final = 24
_POSTS_SHARE: Final = 1 / 3  # of the height, below the line of subscribers


@dataclass(frozen=True, slots=True)
class Chart:
    """Points of a line, and bars as (x, y, width, height), in an SVG of `width` x `height`; the range of figures."""

    points: tuple[tuple[float, float], ...]
    bars: tuple[tuple[float, float, float, float], ...]
    lowest: int
    highest: int
    width: int = WIDTH
    height: int = HEIGHT


def growth_chart(days: Sequence[DayInsights]) -> Chart:
    """Return a line of subscribers by day and bars of posts; days without a known number are left out of the line."""
    known = [(index, day.subscribers) for index, day in enumerate(days) if day.subscribers is not None]
    lowest = min((number for _, number in known), default=0)
    highest = max((number for _, number in known), default=0)
    step = WIDTH / max(1, len(days))
    scale = (HEIGHT - 2 * _MARGIN) / max(1, highest - lowest)
    points = tuple(
        (round((index + 0.5) * step, 1), round(HEIGHT - _MARGIN - (number - lowest) * scale, 1))
        for index, number in known
    )
    return Chart(points, _to_bars([day.posts for day in days], HEIGHT * _POSTS_SHARE), lowest, highest)


def bar_chart(figures: Sequence[int]) -> Chart:
    """Return a bar for each figure that is not 0."""
    return Chart((), _to_bars(figures, HEIGHT - _MARGIN), min(figures, default=0), max(figures, default=0))


def _to_bars(figures: Sequence[int], height: float) -> tuple[tuple[float, float, float, float], ...]:
    step = WIDTH / max(1, len(figures))
    width, scale = min(step * 0.6, _WIDEST_BAR), height / max([1, *figures])
    return tuple(
        (round((index + 0.5) * step - width / 2, 1), round(HEIGHT - figure * scale, 1), round(width, 1),
         round(figure * scale, 1))
        for index, figure in enumerate(figures)
        if figure
    )  # fmt: skip
