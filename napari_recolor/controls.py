"""The controls of the Colorize panel: what they are called, say and look like; no logic."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_recolor.gallery import Gallery
from recolor_core.settings import FilmSettings, Setting, Settings, list_settings

OF_STACKS = ("passes",)
"""Settings of films that are for stacks too; the others are for files of films."""

CHOOSE_FILE = "choose a file…"
"""The entry of menus that asks for a file."""


@dataclass(frozen=True)
class Choice:
    """A control that holds one of the plugin's preferences."""

    get: Callable[[], Any]
    set: Callable[[Any], None]
    changed: Any


class Controls(QWidget):
    """All controls, each under the attribute that its object name ends in."""

    def __init__(self, readout: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer = _menu("layer", "The layer to colorize. It is never changed.")
        self.summary = _text("summary", "What will be done.")
        self.scope = _menu(
            "scope",
            "How much of the layer is colorized: the image shown, all images of a stack, or "
            "the rectangle in view.",
            {"slice": "current slice", "stack": "whole stack", "region": "visible region"},
        )
        self.steady = QCheckBox("Steady")
        _name(
            self.steady,
            "steady",
            "Carry colors from frame to frame of a whole stack, along the motion and never across "
            "a cut, so that they do not flicker.",
        )
        self.time = _menu(
            "time",
            "Which axis of the stack is time. An axis called t or time is found; along all others "
            "every image is colorized by itself.",
        )
        self.weights = _menu(
            "weights", "The trained networks. A .safetensors file of your own training will do too."
        )
        film = [s for s in list_settings(FilmSettings) if s.name in OF_STACKS]
        settings = (*list_settings(Settings), *film)
        self._labels = {setting.name: setting.label for setting in settings}
        made = {setting.name: _setting(setting) for setting in settings}
        self.vividness, self.saturation = made["vividness"], made["saturation"]
        self.warmth = made["warmth"]
        self.size, self.tile, self.views = made["size"], made["tile"], made["views"]
        self.alternatives, self.passes = made["alternatives"], made["passes"]
        self.find_photograph = made["find_photograph"]
        self.correct_tones = made["correct_tones"]
        self.device = _menu(
            "device",
            "Where the networks run. auto takes the fastest: CUDA, MPS, then the CPU. Where the "
            "memory of a GPU is full, the CPU goes on.",
        )
        self.runtime = _menu(
            "runtime",
            "What runs the networks. automatic: the quantized networks on the CPU, which are three "
            "times as fast, and PyTorch elsewhere. PyTorch: in full precision.",
            {"auto": "automatic", "onnxruntime": "quantized (ONNX Runtime)", "torch": "PyTorch"},
        )
        self.levels = _menu(
            "levels",
            "Which values are black and white. automatic: the full range of 8 and 16 bit images, "
            "so that every gray value is kept; percentiles for what has no agreed white.",
            {
                "auto": "automatic",
                "percentiles": "percentiles",
                "contrast": "contrast limits of the layer",
            },
        )
        self.low = _percentile("low", "Values below this percentile become black.", 0, 49)
        self.high = _percentile("high", "Values above this percentile become white.", 51, 100)
        self.per = _menu(
            "per",
            "Whether percentiles are measured once for the whole stack, so that brightness stays "
            "comparable, or in each slice.",
            {"stack": "whole stack", "slice": "each slice"},
        )
        self.restore = _button("restore", "Restore defaults", "Set all choices back.")
        self.run = _button("run", "Colorize", "Colorize the layer (Ctrl+Enter).")
        self.run.setStyleSheet("font-weight: bold")
        self.cancel = _button(
            "cancel", "Cancel", "Stop within a moment. Images that are finished are kept."
        )
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        keeps_place = self.progress.sizePolicy()
        keeps_place.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keeps_place)
        self.progress.hide()
        _name(self.progress, "progress", "How much of the run is done.")
        self.status = _text("status", "What is going on.")
        self.inspect = _button(
            "inspect",
            "Inspect",
            "Show the colors of the first network, those of the second, and how far they differ, "
            "under one camera. Press again to get your view back.",
        )
        self.inspect.setCheckable(True)
        self.maps = _button(
            "maps",
            "a*, b*",
            "Show a* and b* of the first network beside those of the second, and the uncertainty, "
            "as maps with colorbars. Press again to get your view back.",
        )
        self.maps.setCheckable(True)
        self.before = _button(
            "before", "Before", "Hold to see the source in place of the result (B)."
        )
        self.wipe = _button(
            "wipe",
            "Wipe",
            "Show the source left of a line and the result right of it. Drag the line. Press again "
            "to see the result alone.",
        )
        self.wipe.setCheckable(True)
        self.copy_command = _button(
            "copy_command",
            "Copy as command",
            "Copy a call of the recolor command that gives the same image (Ctrl+Alt+C).",
        )
        self.copy_python = _button(
            "copy_python", "Copy as Python", "Copy a Python program that gives the same pixels."
        )
        self.readout = readout
        self.hints = _button(
            "hints",
            "Add hints",
            "Add a layer of points (Ctrl+Alt+H): each tells the color of what it lies on. Move or "
            "recolor them, and the image follows.",
        )
        self.draw = _button(
            "draw",
            "Draw shapes",
            "Draw regions (polygons, rectangles, ellipses), which get their color all over, and "
            "strokes (lines, paths).",
        )
        self.paint = _button(
            "paint", "Paint a mask", "Paint which pixels get the color of a label."
        )
        self.color = QToolButton()
        self.color.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        _name(
            self.color,
            "color",
            "The color of the selected hint, or of the next one: choose among the likeliest "
            "colors, all colors of this lightness, and those used last.",
        )
        self.kind = _menu(
            "kind",
            "What the selected hint, or the next one, asks for: its color; that the color here "
            "stays as the networks give it; no color, as of paper, silver or smoke. A region may "
            "also do nothing but limit the hints in it.",
            {
                "color": "its color",
                "keep": "keep as it is",
                "gray": "gray",
                "limit": "region: only limits hints",
            },
        )
        self.reach = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.reach.setRange(0, 1)
        self.reach.setSingleStep(0.05)
        self.reach.setDecimals(2)
        self.reach.setValue(0.5)
        _name(
            self.reach,
            "reach",
            "How far the selected hint, or the next one, goes beyond its disk: 0 not at all, 0.5 "
            "as far as the thing that it is on, toward 1 further and further.",
        )
        self.only_here = QCheckBox("Only here")
        _name(
            self.only_here,
            "only_here",
            "The hint does not leave the region that is drawn around it.",
        )
        self.eyedropper = _button(
            "eyedropper", "Eyedropper", "Take the next hint's color from an image: click on it."
        )
        self.eyedropper.setCheckable(True)
        self.strokes = _menu(
            "strokes",
            "A Labels or Shapes layer of yours whose marks are hints too, in their colors.",
        )
        self.load_hints = _button("load_hints", "Load…", "Load hints from a file.")
        self.save_hints = _button(
            "save_hints", "Save…", "Save the hints of this image; recolor --hints takes the file."
        )
        self.palette = QLineEdit()
        self.palette.setPlaceholderText("#5b3a1e, #6ca0dc")
        self.palette.setClearButtonEnabled(True)
        _name(
            self.palette,
            "palette",
            "Colors that the image as a whole should have. Where they go is decided by what the "
            "networks see. Empty: whatever they predict.",
        )
        self.palette_of = _menu(
            "palette_of", "Take the palette from an image in color, such as one of the same place."
        )
        self.like = _menu(
            "like",
            "Images in color, of the same place, people or time: their colors go where they show "
            "the same thing as this image.",
        )
        self.likes = _text("likes", "How much of the image each of them shows.")
        self.clear_like = _button("clear_like", "Clear", "Use none of these images.")
        self.matches = _button(
            "matches", "Show matches", "Add a layer of points: what was found in these images."
        )
        self.color_from = _menu(
            "color_from",
            "Where colors come from: the networks, or an image in color that shows the same as "
            "this one, made by another tool or a person. Its color is put on the gray of this one.",
        )
        for control in (self.likes, self.clear_like, self.matches):
            control.hide()
        self.gallery = Gallery()
        _name(
            self.gallery,
            "gallery",
            "Other plausible colorings. A click shows one, a double click takes it.",
        )
        self.alternatives_of = _menu(
            "alternatives_of",
            "Whether another coloring is taken for the whole image, or for a region that you have "
            "drawn and selected: that region of these colorings, or colorings drawn for it.",
            {
                "whole": "whole image",
                "part": "selected region of these",
                "drawn": "selected region, drawn anew",
            },
        )
        self.more_alternatives = _button(
            "more_alternatives", "Draw others", "Draw other alternatives."
        )
        self.strip = Section("strip", "Alternatives")
        self.undo = _button(
            "undo", "Undo", "Take back the last change of hints or settings (Ctrl+Z)."
        )
        self.redo = _button("redo", "Redo", "Make the change again (Ctrl+Shift+Z).")
        self.save_image = _button(
            "save_image",
            "Save image…",
            "Save the image in color with its bit depth, metadata and provenance (Ctrl+Alt+S).",
        )
        self.save_next = _button(
            "save_next",
            "Save and next",
            "Save the image beside its source, and open the next image of the folder "
            "(Ctrl+Alt+N). Hints and settings are in the file, and can be brought back.",
        )
        self.folder = _button(
            "folder", "Folder…", "Colorize the images of a folder in one go, with a contact sheet."
        )
        self.run_all = _button("run_all", "All open", "Colorize all open images, one by one.")
        self.doubt = _button(
            "doubt",
            "Where in doubt",
            "Go to the place whose colors are most uncertain and that no hint is near "
            "(Ctrl+Alt+D).",
        )
        self.recalled = _text("recalled", "How this image was colorized before.")
        self.recall = _button(
            "recall",
            "Bring back",
            "Use the settings and hints of the result that was saved, and go on from there.",
        )
        for control in (self.recalled, self.recall):
            control.hide()
        self.reset = QToolButton()
        self.reset.setText("Reset")
        _name(self.reset, "reset", "Set what changes colors back to its default.")
        self.reset.hide()
        self.changed = _text("changed", "Settings that are not at their default.")
        self.changed.hide()
        self.advanced = Section("advanced", "Advanced")
        self.more_hints = Section("more_hints", "Hints, palette and references")
        self._arrange()
        self._name_fields()
        self._wheel = _IgnoreWheel(self)
        for kind in (QComboBox, QAbstractSpinBox, QAbstractSlider):
            for control in self.findChildren(kind):
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # the wheel gives no focus
                control.installEventFilter(self._wheel)

    def choices(self) -> dict[str, Choice]:
        """The controls that hold the plugin's preferences, by their names."""
        found = {}
        for name in ("scope", "weights", "device", "runtime", "levels", "per"):
            menu: QComboBox = getattr(self, name)
            found[name] = Choice(menu.currentData, _selector(menu), menu.currentIndexChanged)
        for name in (
            "vividness",
            "saturation",
            "warmth",
            "size",
            "tile",
            "views",
            "alternatives",
            "passes",
            "low",
            "high",
        ):
            control = getattr(self, name)
            found[name] = Choice(control.value, control.setValue, control.valueChanged)
        for name in ("steady", "find_photograph", "correct_tones"):
            box = getattr(self, name)
            found[name] = Choice(box.isChecked, box.setChecked, box.toggled)
        text = self.palette
        found["palette"] = Choice(text.text, text.setText, text.textChanged)
        return found

    def _name_fields(self) -> None:
        """Give each field the words beside it as its name for screen readers."""
        self.strip.title.setToolTip("Other plausible colorings (Ctrl+Alt+A).")
        kinds = (QComboBox, QAbstractSpinBox, QAbstractSlider, QLineEdit, QToolButton)
        for form in self.findChildren(QFormLayout):
            for row in range(form.rowCount()):
                label = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
                field = form.itemAt(row, QFormLayout.ItemRole.FieldRole)
                if label is None or field is None or not isinstance(label.widget(), QLabel):
                    continue
                holder = field.widget()
                fields = [x for kind in kinds for x in holder.findChildren(kind)]
                for one in (holder, *fields):
                    if isinstance(one, kinds) and not one.accessibleName():
                        one.setAccessibleName(label.widget().text())
        self.time.setAccessibleName("Time axis")
        self.alternatives_of.setAccessibleName("Alternatives for")
        self.gallery.setAccessibleName("Alternatives")

    def _arrange(self) -> None:
        main = _form()
        main.addRow("Image", self.layer)
        main.addRow(self.summary)
        main.addRow(self.changed)
        main.addRow("", self.reset)
        main.addRow(self.recalled)
        main.addRow("", self.recall)
        main.addRow("Scope", self.scope)
        main.addRow(self.steady, self.time)
        main.addRow("Weights", self.weights)
        main.addRow("Device", self.device)
        main.addRow(self._labels["vividness"], _with_ends(self.vividness, "conservative", "vivid"))
        main.addRow(self._labels["saturation"], self.saturation)
        main.addRow(self._labels["warmth"], self.warmth)

        advanced = _form()
        advanced.addRow(self._labels["size"], self.size)
        advanced.addRow(self._labels["tile"], self.tile)
        advanced.addRow(self._labels["views"], self.views)
        advanced.addRow(self._labels["alternatives"], self.alternatives)
        advanced.addRow(self._labels["passes"], self.passes)
        advanced.addRow("Runtime", self.runtime)
        advanced.addRow("", self.find_photograph)
        advanced.addRow("", self.correct_tones)
        advanced.addRow("Levels", self.levels)
        advanced.addRow("Black below", self.low)
        advanced.addRow("White above", self.high)
        advanced.addRow("Measured in", self.per)
        advanced.addRow("", self.restore)
        self.advanced.fill(advanced)

        hints = QGridLayout()
        hints.setContentsMargins(0, 0, 0, 0)
        hints.addWidget(_row(self.hints, self.draw, self.paint), 0, 0)
        asks = _form()
        asks.addRow("Color", _row(self.color, self.eyedropper))
        asks.addRow("Hint asks for", self.kind)
        asks.addRow("Reach", _row(self.reach, self.only_here))
        asks.addRow("Marks of", self.strokes)
        hints.addLayout(asks, 1, 0)
        hints.addWidget(_row(self.doubt, self.load_hints, self.save_hints), 2, 0)
        strokes = _form()
        strokes.addRow("Palette", self.palette)
        strokes.addRow("Palette of", self.palette_of)
        strokes.addRow("Like", self.like)
        strokes.addRow(self.likes)
        strokes.addRow(_row(self.matches, self.clear_like))
        strokes.addRow("Color from", self.color_from)
        hints.addLayout(strokes, 3, 0)
        self.more_hints.fill(hints)

        strip = QVBoxLayout()
        strip.addWidget(self.gallery)
        strip.addWidget(_row(self.alternatives_of, self.more_alternatives))
        self.strip.fill(strip)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addLayout(main)
        column.addWidget(self.advanced)
        column.addWidget(_row(self.run, self.cancel))
        column.addWidget(_row(self.undo, self.redo, self.save_image))
        column.addWidget(_row(self.save_next, self.run_all, self.folder))
        column.addWidget(self.progress)
        column.addWidget(self.status)
        column.addWidget(_row(self.inspect, self.maps, self.before, self.wipe))
        column.addWidget(_row(self.copy_command, self.copy_python))
        column.addWidget(self.readout)
        column.addWidget(self.strip)
        column.addWidget(self.more_hints)
        column.addStretch(1)


class Menu(QComboBox):
    """A menu that tells when it is opened."""

    opened = Signal()

    def showPopup(self) -> None:
        """Tell, then open."""
        self.opened.emit()
        super().showPopup()


class _IgnoreWheel(QObject):
    """Leaves the wheel to the panel, which scrolls, unless a control has the focus.

    A menu ignores it always: its next entry may open a dialog.
    """

    def eventFilter(self, control: QObject, event: QEvent) -> bool:
        """Swallow wheel events that are not meant for the control."""
        if event.type() != QEvent.Type.Wheel:
            return False
        if (
            isinstance(control, QWidget)
            and control.hasFocus()
            and not isinstance(control, QComboBox)
        ):
            return False
        event.ignore()
        return True


class Section(QWidget):
    """Controls that are folded away until their title is clicked."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.title = QToolButton()
        self.title.setObjectName(f"recolor.{name}")
        self.title.setText(title)
        self.title.setCheckable(True)
        self.title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.title.setArrowType(Qt.ArrowType.RightArrow)
        self.title.setStyleSheet("QToolButton { border: none; background: transparent; }")
        self.title.toggled.connect(self._unfold)
        self._content = QWidget()
        self._content.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.title)
        column.addWidget(self._content)

    def fill(self, layout: QLayout) -> None:
        """Put a layout of controls into the part that folds."""
        layout.setContentsMargins(12, 0, 0, 4)
        self._content.setLayout(layout)

    def minimumSizeHint(self) -> QSize:
        """Also when folded, so that unfolding does not widen the panel."""
        return (
            super().minimumSizeHint().expandedTo(QSize(self._content.minimumSizeHint().width(), 0))
        )

    def _unfold(self, on: bool) -> None:
        arrows = Qt.ArrowType
        self.title.setArrowType(arrows.DownArrow if on else arrows.RightArrow)
        self._content.setVisible(on)


def show_color(button: QToolButton, color: str | None) -> None:
    """Show a color on a button.

    Parameters
    ----------
    button : QToolButton
        The button.
    color : str or None
        ``"#rrggbb"``; an empty one is the predicted color, None is no color.
    """
    swatch = QPixmap(16, 16)
    swatch.fill(QColor(color) if color else Qt.GlobalColor.transparent)
    button.setIcon(QIcon(swatch))
    button.setText({None: "none", "": "predicted"}.get(color, color))


def fill(menu: QComboBox, items: Iterable[tuple[str, Any]], keep: Any = None) -> None:
    """Replace what a menu offers; what was chosen stays chosen where it is still there."""
    chosen = menu.currentData() if keep is None else keep
    blocked = menu.blockSignals(True)
    menu.clear()
    for text, data in items:
        menu.addItem(text, data)
    menu.setCurrentIndex(max(0, _find(menu, chosen)))
    menu.blockSignals(blocked)


def _find(menu: QComboBox, data: Any) -> int:
    """As `QComboBox.findData`, which does not find every Python object."""
    matching = (
        i for i in range(menu.count()) if menu.itemData(i) is data or menu.itemData(i) == data
    )
    return next(matching, -1)


def _selector(menu: QComboBox) -> Callable[[Any], None]:
    def select(data: Any) -> None:
        if _find(menu, data) < 0:  # a file, or a device that is still to be found
            menu.addItem(str(data), data)
        menu.setCurrentIndex(_find(menu, data))

    return select


def _name(control: QWidget, name: str, tooltip: str) -> None:
    control.setObjectName(f"recolor.{name}")
    control.setToolTip(f"<qt>{tooltip}</qt>")  # rich text is wrapped


def _menu(name: str, tooltip: str, items: dict[Any, str] | None = None) -> Menu:
    menu = Menu()
    _name(menu, name, tooltip)
    for data, text in (items or {}).items():
        menu.addItem(text, data)
    # A long name must not widen the panel.
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    menu.setMinimumContentsLength(8)
    menu.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return menu


def _setting(setting: Setting) -> QWidget:
    """A control for a setting, made from its declaration.

    Whole numbers and switches get the widgets of magicgui. Its sliders hide what they consist of,
    so fractions get the slider of superqt that magicgui uses.
    """
    if setting.type is float:
        control = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        control.setRange(setting.low, setting.high)
        control.setSingleStep(setting.step)
        control.setDecimals(2)
    else:
        numbers = {"min": setting.low, "max": setting.high, "step": setting.step}
        options = numbers if setting.low is not None else {"text": setting.label}
        made = create_widget(setting.default, setting.type, setting.name, options=options)
        control = made.native
        control.made = made  # kept as long as the control
    words = f"{setting.help} Range: {setting.range}." if setting.range else setting.help
    _name(control, setting.name, words)
    return control


def _percentile(name: str, tooltip: str, low: float, high: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setSingleStep(0.1)
    box.setDecimals(2)
    box.setSuffix(" %")
    _name(box, name, tooltip)
    return box


def _button(name: str, text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    _name(button, name, tooltip)
    return button


def _text(name: str, tooltip: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    _name(label, name, tooltip)
    return label


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return form


def _row(*widgets: QWidget) -> QWidget:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return _holder(row)


def _with_ends(slider: QWidget, low: str, high: str) -> QWidget:
    ends = QHBoxLayout()
    for text in (low, high):
        ends.addWidget(QLabel(text))
    ends.insertStretch(1)
    column = QVBoxLayout()
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(slider)
    column.addLayout(ends)
    return _holder(column)


def _holder(layout: Any) -> QWidget:
    holder = QWidget()
    holder.setLayout(layout)
    return holder
