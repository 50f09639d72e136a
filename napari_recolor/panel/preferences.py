"""What the user chose, kept by napari among the plugin's preferences."""

from contextlib import nullcontext
from typing import Any

from napari.settings import get_plugin_settings
from napari.utils.events import EventedModel
from npe2 import PluginManager
from npe2.manifest.schema import discovery_blocked

from napari_recolor.runs.options import Options
from napari_recolor.runs.reading import LevelRule

PLUGIN = "napari-recolor"


def preferences() -> EventedModel:
    """The choices by name, as `napari.yaml` describes them; set one and napari saves it.

    napari shows them under File > Preferences > Recolor and keeps them in a file beside its own
    settings. A value that does not fit its description raises a ValueError.
    """
    # napari would parse the manifests of all plugins again, a tenth of a second and more, though a
    # viewer has done so when it started.
    known = PLUGIN in PluginManager.instance()
    with discovery_blocked() if known else nullcontext():
        return get_plugin_settings(PLUGIN).colorize


def restore_defaults(chosen: EventedModel) -> None:
    """Set all choices to what `napari.yaml` says."""
    for name, about in type(chosen).model_fields.items():
        setattr(chosen, name, about.default)


COLORING = (
    "vividness",
    "saturation",
    "warmth",
    "palette",
    "views",
    "size",
    "alternatives",
    "weights",
    "runtime",
    "passes",
    "clean",
)
"""The choices that change what comes out, beside what is colorized."""


def changed(chosen: EventedModel) -> dict[str, Any]:
    """The choices that change what comes out and are not at their default, by title."""
    found = {}
    for name in COLORING:
        field, value = type(chosen).model_fields[name], getattr(chosen, name)
        if value != field.default:
            found[field.title or name] = value
    return found


def reset_coloring(chosen: EventedModel) -> None:
    """Set the choices that change what comes out to their defaults."""
    for name in COLORING:
        setattr(chosen, name, type(chosen).model_fields[name].default)


def options(chosen: EventedModel) -> Options:
    """The settings of a run."""
    names = set(Options.__dataclass_fields__) - {"wishes"}  # those are of one image
    return Options(**{name: getattr(chosen, name) for name in names})


def level_rule(chosen: EventedModel) -> LevelRule:
    """Which values are black and white."""
    return LevelRule(chosen.levels, chosen.low, chosen.high, chosen.per)
