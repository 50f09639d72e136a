"""Controls made from the declarations of settings, by magicgui."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from superqt import QLabeledDoubleSlider

from napari_recolor.panel.parts import describe, keep_narrow
from napari_recolor.panel.settings import Menu
from recolor_core.settings import Setting

DECIMALS = 2
"""Of the numbers that a slider sets."""


@dataclass(frozen=True)
class Field:
    """A control of one setting.

    Parameters
    ----------
    control : QWidget
        What the panel shows.
    get : callable
        Returns the value.
    set : callable
        Takes a value.
    changed : Signal
        Emitted with the value when it changes.
    """

    control: QWidget
    get: Callable[[], Any]
    set: Callable[[Any], None]
    changed: Any


def make_field(setting: Setting) -> Field:
    """Make the control of a setting.

    magicgui chooses the widget by the type: a menu, a spin box, a check box or a line of text.
    Only numbers with a step of their own get the slider of superqt, because that of magicgui counts
    in millionths and cuts off: 2.01 becomes 2.009999.

    Parameters
    ----------
    setting : Setting
        Of `settings.panel_settings`.

    Returns
    -------
    Field
        Its control has the object name "recolor.NAME".
    """
    if setting.type is float and setting.step is not None:
        field = _make_slider(setting)
    else:
        made: Any = create_widget(
            setting.default,
            setting.type,
            setting.name,
            widget_type="ComboBox" if isinstance(setting, Menu) else None,
            options=_options(setting),
        )

        def put(value: Any) -> None:
            made.value = value

        field = Field(made.native, lambda: made.value, put, made.changed)
    if isinstance(setting, Menu):
        keep_narrow(field.control)
    words = f"{setting.help} Range: {setting.range}." if setting.low is not None else setting.help
    describe(field.control, setting.name, words)
    return field


def _options(setting: Setting) -> dict[str, Any]:
    """Return what magicgui calls the properties of a setting."""
    if isinstance(setting, Menu):
        return {"choices": list(zip(setting.labels, setting.choices, strict=True))}
    if setting.type is bool:
        return {"text": setting.label}
    if setting.low is None:
        return {}
    return {"min": setting.low, "max": setting.high, "step": setting.step or 0.1}


def _make_slider(setting: Setting) -> Field:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(setting.low, setting.high)
    slider.setSingleStep(setting.step)
    slider.setDecimals(DECIMALS)
    slider.setValue(setting.default)
    # The Tab key stops at the slider in it, and not at the two.
    slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def value() -> float:
        return round(slider.value(), DECIMALS)  # a click sets a value between those shown

    return Field(slider, value, slider.setValue, slider.valueChanged)
