"""The controls of the Colorize panel: what they are called, say and look like; no logic."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_recolor.panel import shortcuts as keys
from napari_recolor.panel.fields import Field, make_field
from napari_recolor.panel.gallery import Gallery
from napari_recolor.panel.parts import (
    Button,
    ChoiceMenu,
    LeaveToPanel,
    Section,
    describe,
    in_reading_order,
    make_check_box,
    make_form,
    make_row,
    make_text,
    name_fields,
    with_ends,
)
from napari_recolor.panel.settings import panel_settings
from recolor_core.settings import Setting

FIELDS = 8
"""So many fields are made in one step; magicgui takes a few milliseconds for each."""


class Controls(QWidget):
    """All controls, each under the attribute that its object name ends in.

    They are there once all steps of `build` are done.

    Parameters
    ----------
    readout : QWidget
        Shows the values under the mouse.
    parent : QWidget, optional
        Of the controls.

    Attributes
    ----------
    fields : dict of str to Field
        The controls of the settings, by the names of the settings.
    """

    def __init__(self, readout: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.readout = readout

    def build(self) -> Iterator[None]:
        """Make the controls in steps of some hundredths of a second each."""
        self._make_source()
        self._make_run()
        self._make_views()
        yield
        yield from self._make_settings()
        self._make_strip()
        self._make_hints()
        self._make_references()
        yield
        self._arrange()
        yield
        name_fields(self)
        self.time.setAccessibleName("Time axis")
        self.alternatives_of.setAccessibleName("Alternatives for")
        self.gallery.setAccessibleName("Alternatives")
        self._events = LeaveToPanel(self)
        self._events.watch(self)
        order = list(in_reading_order(self))
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    def buttons_with_keys(self) -> dict[str, QPushButton]:
        """The buttons by their keys; `shortcuts.Shortcuts` binds them."""
        titles = {section.keys: section.title for section in self.findChildren(Section)}
        return {**{one.keys: one for one in self.findChildren(Button) if one.keys}, **titles}

    # --- what they are ------------------------------------------------------------------------

    def _make_source(self) -> None:
        self.layer = ChoiceMenu("layer", "The layer to colorize. It is never changed.")
        self.summary = make_text("summary", "What will be done.")
        self.time = ChoiceMenu(
            "time",
            "Which axis of the stack is time. An axis called t or time is found; along all other "
            "axes every image is colorized by itself.",
        )
        self.recalled = make_text("recalled", "How this image was colorized before.")
        self.recall = Button(
            "recall",
            "Bring back",
            "Use the settings, hints, references and alternative of the result that was saved, and "
            "go on from there.",
            keys.RECALL,
        )
        self.changed = make_text("changed", "Settings that are not at their default.")
        self.reset = QToolButton()
        self.reset.setText("Reset")
        describe(self.reset, "reset", "Set what changes colors back to its default.")
        for control in (self.recalled, self.recall, self.changed, self.reset):
            control.hide()

    def _make_settings(self) -> Iterator[None]:
        settings = panel_settings()
        self._labels = {name: setting.label for name, setting in settings.items()}
        self.weights = ChoiceMenu("weights", settings["weights"].help)
        self.device = ChoiceMenu("device", settings["device"].help)
        filled_later = {"weights": self.weights, "device": self.device}
        self.fields: dict[str, Field] = {}
        for name, setting in settings.items():
            menu = filled_later.get(name)
            if menu is None:
                self.fields[name] = make_field(setting)
            else:
                field = Field(menu, menu.currentData, menu.choose, menu.currentIndexChanged)
                self.fields[name] = field
            if len(self.fields) % FIELDS == 0:
                yield
        self.vividness, self.saturation, self.warmth = self._of("vividness", "saturation", "warmth")
        self.scope, self.steady, self.palette = self._of("scope", "steady", "palette")
        self.size, self.tile, self.views = self._of("size", "tile", "views")
        self.alternatives, self.passes, self.runtime = self._of("alternatives", "passes", "runtime")
        self.clean, self.find_photograph = self._of("clean", "find_photograph")
        (self.correct_tones,) = self._of("correct_tones")
        (self.replace_last,) = self._of("replace_last")
        self.levels, self.low, self.high, self.per = self._of("levels", "low", "high", "per")
        self.palette.setPlaceholderText("#5b3a1e, #6ca0dc")
        self.palette.setClearButtonEnabled(True)
        self.restore = Button("restore", "Restore defaults", "Set all choices back.")

    def _of(self, *names: str) -> list[Any]:
        return [self.fields[name].control for name in names]

    def _make_run(self) -> None:
        self.run = Button("run", "Colorize", "Colorize the layer.", keys.RUN)
        self.run.setStyleSheet("font-weight: bold")
        self.cancel = Button(
            "cancel",
            "Cancel",
            "Stop within a moment. Images that are finished are kept.",
            keys.CANCEL,
        )
        self.undo = Button(
            "undo", "Undo", "Take back the last change of hints or settings.", keys.UNDO
        )
        self.redo = Button("redo", "Redo", "Make the change again.", keys.REDO)
        self.save_image = Button(
            "save_image",
            "Save image…",
            "Save the image in color with its bit depth, metadata and provenance.",
            keys.SAVE,
        )
        self.save_next = Button(
            "save_next",
            "Save and next",
            "Save the image beside its source, and open the next image of the folder. Hints and "
            "settings are in the file, and can be brought back.",
            keys.NEXT,
        )
        self.folder = Button(
            "folder",
            "Folder…",
            "Colorize the images of a folder in one go, with a contact sheet.",
            keys.FOLDER,
        )
        self.run_all = Button(
            "run_all", "All open", "Colorize all open images, one by one.", keys.RUN_ALL
        )
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        keeps_place = self.progress.sizePolicy()
        keeps_place.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keeps_place)
        self.progress.hide()
        describe(self.progress, "progress", "How much of the run is done.")
        self.status = make_text("status", "What is going on.")

    def _make_views(self) -> None:
        self.inspect = Button(
            "inspect",
            "Inspect",
            "Show the colors of the first network, those of the second, and how far they differ, "
            "under one camera. Press again to get your view back.",
            keys.INSPECT,
        )
        self.maps = Button(
            "maps",
            "a*, b*",
            "Show a* and b* of the first network beside those of the second, and the uncertainty, "
            "as maps with colorbars. Press again to get your view back.",
            keys.MAPS,
        )
        self.before = Button(
            "before", "Before", "Hold to see the source in place of the result.", keys.COMPARE
        )
        self.wipe = Button(
            "wipe",
            "Wipe",
            "Show the source left of a line and the result right of it. Drag the line. Press again "
            "to see the result alone.",
            keys.WIPE,
        )
        for button in (self.inspect, self.maps, self.wipe):
            button.setCheckable(True)
        self.copy_command = Button(
            "copy_command",
            "Copy as command",
            "Copy a call of the recolor command that gives the same image.",
            keys.COPY,
        )
        self.copy_python = Button(
            "copy_python",
            "Copy as Python",
            "Copy a Python program that gives the same pixels.",
            keys.COPY_PYTHON,
        )

    def _make_strip(self) -> None:
        self.gallery = Gallery()
        describe(
            self.gallery,
            "gallery",
            "Other plausible colorings. A click shows one, a double click takes it.",
        )
        self.alternatives_of = ChoiceMenu(
            "alternatives_of",
            "Whether another coloring is taken for the whole image, or for a region that you have "
            "drawn and selected: that region of these colorings, or colorings drawn for it.",
            {
                "whole": "whole image",
                "part": "selected region of these",
                "drawn": "selected region, drawn anew",
            },
        )
        self.more_alternatives = Button(
            "more_alternatives", "Draw others", "Draw other alternatives."
        )
        self.strip = Section("strip", "Alternatives", keys.STRIP)
        self.strip.title.setToolTip("Other plausible colorings.")

    def _make_hints(self) -> None:
        self.hints = Button(
            "hints",
            "Add hints",
            "Add a layer of points: each tells the color of what it lies on. Move or recolor them, "
            "and the image follows.",
            keys.HINTS,
        )
        self.draw = Button(
            "draw",
            "Draw shapes",
            "Draw regions (polygons, rectangles, ellipses), which get their color all over, and "
            "strokes (lines, paths).",
            keys.DRAW,
        )
        self.paint = Button(
            "paint", "Paint a mask", "Paint which pixels get the color of a label.", keys.PAINT
        )
        self.color = QToolButton()
        self.color.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        describe(
            self.color,
            "color",
            "The color of the selected hint, or of the next one: choose among the likeliest "
            "colors, all colors of this lightness, and those used last.",
        )
        self.eyedropper = Button(
            "eyedropper",
            "Eyedropper",
            "Take the next hint's color from an image: click on it.",
            keys.EYEDROPPER,
        )
        self.eyedropper.setCheckable(True)
        self.kind = ChoiceMenu(
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
        self.reach = make_field(
            Setting(
                "Reach",
                "How far the selected hint, or the next one, goes beyond its disk: 0 not at all, "
                "0.5 as far as the thing that it is on, toward 1 further and further.",
                low=0,
                high=1,
                step=0.05,
                name="reach",
                default=0.5,
            )
        ).control
        self.only_here = make_check_box(
            "only_here", "Only here", "The hint does not leave the region that is drawn around it."
        )
        self.strokes = ChoiceMenu(
            "strokes",
            "A Labels or Shapes layer of yours whose marks are hints too, in their colors.",
        )
        self.doubt = Button(
            "doubt",
            "Where in doubt",
            "Go to the place whose colors are most uncertain and that no hint is near.",
            keys.DOUBT,
        )
        self.load_hints = Button("load_hints", "Load…", "Load hints from a file.")
        self.save_hints = Button(
            "save_hints", "Save…", "Save the hints of this image; recolor --hints takes the file."
        )
        self.more_hints = Section("more_hints", "Hints, palette and references", keys.HINT_CONTROLS)
        self.more_hints.title.setToolTip("What you know of the colors.")

    def _make_references(self) -> None:
        self.palette_of = ChoiceMenu(
            "palette_of", "Take the palette from an image in color, such as one of the same place."
        )
        self.like = ChoiceMenu(
            "like",
            "Images in color, of the same place, people or time: their colors go where they show "
            "the same thing as this image.",
        )
        self.likes = make_text("likes", "How much of the image each of them shows.")
        self.clear_like = Button("clear_like", "Clear", "Use none of these images.")
        self.matches = Button(
            "matches", "Show matches", "Add a layer of points: what was found in these images."
        )
        self.color_from = ChoiceMenu(
            "color_from",
            "Where colors come from: the networks, or an image in color that shows the same as "
            "this one, made by another tool or a person. Its color is put on the gray of this one.",
        )
        for control in (self.likes, self.clear_like, self.matches):
            control.hide()

    # --- where they are -----------------------------------------------------------------------

    def _arrange(self) -> None:
        self.advanced = Section("advanced", "Advanced", keys.ADVANCED)
        self.advanced.title.setToolTip("Settings that are seldom changed.")
        self.advanced.fill(
            make_form(
                *map(self._labeled, ("size", "tile", "views", "alternatives", "passes", "runtime")),
                ("", self.clean),
                ("", self.find_photograph),
                ("", self.correct_tones),
                *map(self._labeled, ("levels", "low", "high", "per")),
                ("", self.replace_last),
                ("", self.restore),
            )
        )

        strip = QVBoxLayout()
        strip.addWidget(self.gallery)
        strip.addWidget(make_row(self.alternatives_of, self.more_alternatives))
        self.strip.fill(strip)

        hints = QVBoxLayout()
        hints.addWidget(make_row(self.hints, self.draw, self.paint))
        hints.addLayout(
            make_form(
                ("Color", make_row(self.color, self.eyedropper)),
                ("Hint asks for", self.kind),
                ("Reach", make_row(self.reach, self.only_here)),
                ("Marks of", self.strokes),
            )
        )
        hints.addWidget(make_row(self.doubt, self.load_hints, self.save_hints))
        hints.addLayout(
            make_form(
                ("Palette", self.palette),
                ("Palette of", self.palette_of),
                ("Like", self.like),
                self.likes,
                make_row(self.matches, self.clear_like),
                ("Color from", self.color_from),
            )
        )
        self.more_hints.fill(hints)

        vividness = with_ends(self.vividness, "conservative", "vivid")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        column.addLayout(
            make_form(
                ("Image", self.layer),
                self.summary,
                self.changed,
                ("", self.reset),
                self.recalled,
                ("", self.recall),
                self._labeled("scope"),
                (self.steady, self.time),
                *map(self._labeled, ("weights", "device")),
                (self._labels["vividness"], vividness),
                *map(self._labeled, ("saturation", "warmth")),
            )
        )
        column.addWidget(self.advanced)
        column.addWidget(make_row(self.run, self.cancel))
        column.addWidget(make_row(self.undo, self.redo, self.save_image))
        column.addWidget(make_row(self.save_next, self.run_all, self.folder))
        column.addWidget(self.progress)
        column.addWidget(self.status)
        column.addWidget(make_row(self.inspect, self.maps, self.before, self.wipe))
        column.addWidget(make_row(self.copy_command, self.copy_python))
        column.addWidget(self.readout)
        column.addWidget(self.strip)
        column.addWidget(self.more_hints)
        column.addStretch(1)

    def _labeled(self, name: str) -> tuple[str, QWidget]:
        return self._labels[name], self.fields[name].control
