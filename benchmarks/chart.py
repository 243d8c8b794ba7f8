"""Draw how fast readers are against pydicom: a panel for each corpus, a bar for each way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "dicomframe"
mpl.rcParams["font.family"] = ["DejaVu Sans", "sans-serif"]

from matplotlib import pyplot as plt  # noqa: E402  (after the choice of what it draws with)

_OURS, _OTHERS, _PARSERS = "#0072B2", "#E69F00", "#BBBBBB"
_COLUMNS = 3


def draw(
    ratios: Mapping[str, Mapping[str, float]],
    ours: Collection[str],
    without_json: Collection[str],
    path: Path,
) -> None:
    """Write an SVG file.

    Parameters
    ----------
    ratios : mapping
        By title of a corpus and name of a way: how many times as fast as pydicom.
    ours, without_json : collection of str
        The ways that are the library, and those that make no DICOM JSON.
    path : Path
        Where to.
    """
    rows = -(-len(ratios) // _COLUMNS)
    names = list(dict.fromkeys(name for found in ratios.values() for name in found))[::-1]
    figure, panels = plt.subplots(
        rows, _COLUMNS, figsize=(13, 2.9 * rows), sharex=True, sharey=True, squeeze=False
    )
    for panel in panels.flat[len(ratios) :]:
        panel.set_visible(False)
    for panel, (title, found) in zip(panels.flat, ratios.items(), strict=False):
        for at, name in enumerate(names):
            if name not in found:
                continue
            colour = _OURS if name in ours else _PARSERS if name in without_json else _OTHERS
            hatch = "///" if name in without_json else None
            panel.barh(at, found[name], color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            text = f"{found[name]:,.0f}" if found[name] >= 10 else f"{found[name]:.1f}"
            panel.annotate(text, (found[name], at), (3, 0), textcoords="offset points",
                           va="center", fontsize=8)  # fmt: skip
        panel.set_title(title, fontsize=10)
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.set_xlim(0.8, 8 * max(max(found.values()) for found in ratios.values()))
        panel.set_yticks(range(len(names)), [name.replace("`", "") for name in names], fontsize=8)
        panel.tick_params(axis="x", labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    marks = [
        plt.Rectangle((0, 0), 1, 1, color=_OURS, label="dicomframe: DICOM JSON"),
        plt.Rectangle((0, 0), 1, 1, color=_OTHERS, label="others: DICOM JSON"),
        plt.Rectangle((0, 0), 1, 1, facecolor=_PARSERS, hatch="///", edgecolor="white",
                      label="no JSON"),
    ]  # fmt: skip
    figure.legend(handles=marks, loc="lower center", ncols=3, fontsize=9, frameon=False)
    figure.suptitle("Headers per second of one core; pydicom is 1 (logarithmic)", fontsize=11)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
