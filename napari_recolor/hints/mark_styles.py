"""What marks ask for beside their colors, kept in the features of their layers.

There is one row of features for each point or shape, and one for each label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap

from napari_recolor.hints.placing import hex_rgba

LIMIT = "limit"
"""The kind of a region that colors nothing: hints in it that stay "only here" do not leave it."""

GRAY_SHOWN, KEEP_SHOWN = "#808080", "#ffffff"
"""The colors in which marks of the kinds *gray* and *keep* are shown."""

LIMIT_SHOWN = "#ffd000"
"""The color of the outline of a region that only limits hints."""

SYMBOLS = {"color": "disc", "keep": "square", "gray": "diamond"}
"""The symbol that points of each kind are drawn with."""

_TYPES = (("kind", object), ("reach", float), ("within", int), ("number", int))


@dataclass(frozen=True)
class Style:
    """What a mark asks for, beside its color.

    Parameters
    ----------
    kind : {"color", "keep", "gray", "limit"}
        As in `recolor_core.hints`; `LIMIT` is for regions.
    reach : float
        From 0 to 1; of points and strokes.
    within : int
        The number of the region that the mark does not leave; 0 for none.
    number : int
        Of a region, for `within`; 0 if it has none yet.
    """

    kind: str = "color"
    reach: float = 0.5
    within: int = 0
    number: int = 0


def styles_of(layer: Points | Shapes) -> list[Style]:
    """The style of each point or shape of a layer; a layer of other origin has the default."""
    table = layer.features
    known = [name for name in asdict(Style()) if name in table.columns]
    columns = [table[name].tolist() for name in known]  # pandas' own records take milliseconds
    rows = [dict(zip(known, row, strict=True)) for row in zip(*columns, strict=True)]
    count = len(layer.data)  # while shapes are added, napari has more of one than of the other
    return [_style(row) for row in [*rows, *[{}] * count][:count]]


def next_style(layer: Points | Shapes) -> Style:
    """The style of the next point or shape of a layer."""
    return _style(_defaults(layer))


def set_styles(layer: Points | Shapes, styles: Sequence[Style]) -> None:
    """Give each point or shape of a layer its style; other features stay."""
    import pandas as pd  # takes a large part of a second

    rows = [asdict(style) for style in styles]
    ours = pd.DataFrame({n: pd.Series([row[n] for row in rows], dtype=t) for n, t in _TYPES})
    others = layer.features[[name for name in layer.features.columns if name not in ours.columns]]
    before = _defaults(layer)
    layer.features = pd.concat([others.reset_index(drop=True), ours], axis=1)
    layer.feature_defaults = {**_defaults(layer), **asdict(Style()), **before}


def first_features() -> dict[str, Any]:
    """The arguments of a new layer of points or shapes that give it the features of styles."""
    import pandas as pd

    features = pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in _TYPES})
    return {"features": features, "feature_defaults": asdict(Style())}


def set_next_style(layer: Points | Shapes, style: Style) -> None:
    """Set the style of the next point or shape of a layer."""
    if not set(asdict(style)) <= set(layer.features.columns):
        set_styles(layer, styles_of(layer))
    layer.feature_defaults = {**_defaults(layer), **asdict(style)}


def _defaults(layer: Points | Shapes) -> dict[str, Any]:
    table = layer.feature_defaults
    return {name: table[name].iloc[0] for name in table.columns}


def label_kinds(labels: Labels) -> dict[int, str]:
    """What kind of mark each label is; labels that are not in it are of kind ``"color"``."""
    table = labels.features
    if not {"index", "kind"} <= set(table.columns):
        return {}
    return {int(i): str(kind) for i, kind in zip(table["index"], table["kind"], strict=True)}


def set_label(labels: Labels, label: int, kind: str, color: str) -> None:
    """Set what a label asks for, and the color in which it is shown."""
    import pandas as pd

    kinds = label_kinds(labels) | {label: kind}
    labels.features = pd.DataFrame({"index": list(kinds), "kind": list(kinds.values())})
    shown: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    before = labels.colormap
    if isinstance(before, DirectLabelColormap):
        shown = dict(before.color_dict)
    else:
        shown |= {int(i): labels.get_color(int(i)) for i in np.unique(labels.data) if i}
    shown[label] = hex_rgba(shown_color(kind, color))
    labels.colormap = DirectLabelColormap(color_dict=shown)


def labels_state(labels: Labels) -> tuple[Any, ...]:
    """What the labels of a layer ask for, and their colors, to be compared and restored."""
    shown = labels.colormap
    colors = shown.color_dict if isinstance(shown, DirectLabelColormap) else {}
    return (
        tuple(sorted(label_kinds(labels).items())),
        tuple((label, tuple(map(float, color))) for label, color in colors.items()),
    )


def restore_labels(labels: Labels, state: tuple[Any, ...]) -> None:
    """Bring back what `labels_state` gave."""
    import pandas as pd

    kinds, colors = dict(state[0]), dict(state[1])
    labels.features = pd.DataFrame({"index": list(kinds), "kind": list(kinds.values())})
    if colors:
        labels.colormap = DirectLabelColormap(color_dict=colors)


def shown_color(kind: str, color: str) -> str:
    """The color in which a mark is shown."""
    return {"keep": KEEP_SHOWN, "gray": GRAY_SHOWN, LIMIT: LIMIT_SHOWN}.get(kind, color)


def numbered(shapes: Shapes) -> list[Style]:
    """Give every region a number, and return the styles of all shapes."""
    styles = styles_of(shapes)
    taken = {style.number for style in styles}
    used: set[int] = set()
    for i, style in enumerate(styles):
        if not style.number or style.number in used:  # a copy has that of its original
            new = next(n for n in range(1, len(styles) + len(taken) + 2) if n not in taken)
            styles[i] = replace(style, number=new)
            taken.add(new)
        used.add(styles[i].number)
    if styles != styles_of(shapes):
        set_styles(shapes, styles)
    return styles


def _style(row: Mapping[str, Any]) -> Style:
    """Read a row of features, whatever a user may have put there."""
    style = Style()
    kind = row.get("kind")
    if isinstance(kind, str) and kind in (*SYMBOLS, LIMIT):
        style = replace(style, kind=kind)
    reach = row.get("reach", style.reach)
    if isinstance(reach, int | float) and 0 <= reach <= 1:
        style = replace(style, reach=float(reach))
    numbers: dict[str, Any] = {}
    for name in ("within", "number"):
        value = row.get(name, 0)
        if isinstance(value, int | float | np.integer) and value == value:
            numbers[name] = int(value)
    return replace(style, **numbers)
