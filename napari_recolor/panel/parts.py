"""What the panel is built of: buttons with their keys, menus, sections that fold, and forms."""

from collections.abc import Iterable, Iterator
from typing import Any

from qtpy.QtCore import QEvent, QObject, QRect, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QIcon,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPalette,
    QPixmap,
)
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

CHOOSE_FILE = "choose a file…"
"""The entry of menus that asks for a file."""

_KEYS_SIZE = 0.75
"""Size of the keys on a button, relative to its text."""

_TABBED = (Qt.FocusPolicy.TabFocus, Qt.FocusPolicy.StrongFocus, Qt.FocusPolicy.WheelFocus)

_UNDO = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)

_UNLIMITED = 2**24 - 1
"""What Qt takes for no limit of a height."""


def describe(control: QWidget, name: str, tooltip: str) -> None:
    """Give a control its object name, "recolor.NAME", and a tooltip that is wrapped."""
    control.setObjectName(f"recolor.{name}")
    control.setToolTip(f"<qt>{tooltip}</qt>")  # rich text is wrapped


def show_keys(keys: str) -> str:
    """Write keys as the system does, such as "Ctrl+Enter" for "Ctrl+Return"; empty for none."""
    written: str = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    return written.replace("Return", "Enter")


# --- buttons --------------------------------------------------------------------------------------


class Button(QPushButton):
    """A button that shows its keys below its text.

    Parameters
    ----------
    name : str
        Its object name is "recolor.NAME".
    text : str
        What it says.
    tooltip : str
        What it does.
    keys : str
        As Qt writes them, such as "Ctrl+Alt+S"; empty for none. Whoever owns the button binds them.
    """

    def __init__(self, name: str, text: str, tooltip: str, keys: str = "") -> None:
        super().__init__(text)
        self.keys = keys
        shown = self._shown_keys = show_keys(keys)
        describe(self, name, f"{tooltip} ({shown})" if shown else tooltip)
        if shown:
            self.setAccessibleDescription(shown)

    def sizeHint(self) -> QSize:
        """Room for the text and for the keys below it."""
        size = super().sizeHint()
        if self._shown_keys:
            metrics = QFontMetrics(self._keys_font())
            width = metrics.horizontalAdvance(self._shown_keys) + 8
            size = QSize(max(size.width(), width), size.height() + metrics.height() - 4)
        return size

    def minimumSizeHint(self) -> QSize:
        """The same: neither the text nor the keys are cut off."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the button, its text, and the keys in smaller letters."""
        if not self._shown_keys:
            super().paintEvent(event)
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        text, option.text = option.text, ""
        painter = QPainter(self)
        self.style().drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)
        font = self._keys_font()
        metrics = QFontMetrics(font)
        middle = Qt.AlignmentFlag.AlignCenter
        height = self.fontMetrics().height()
        top = (self.height() - height - metrics.height()) // 2
        painter.setPen(option.palette.color(QPalette.ColorRole.ButtonText))
        painter.drawText(QRect(0, top, self.width(), height), middle, text)
        painter.setFont(font)
        painter.setOpacity(0.75)
        below = QRect(0, top + height, self.width(), metrics.height())
        painter.drawText(below, middle, self._shown_keys)
        painter.end()

    def _keys_font(self) -> QFont:
        font = self.font()
        font.setBold(False)
        font.setPointSizeF(_KEYS_SIZE * self.fontInfo().pointSizeF())
        return font


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


# --- menus ----------------------------------------------------------------------------------------


class ChoiceMenu(QComboBox):
    """A menu whose entries change.

    Parameters
    ----------
    name : str
        Its object name is "recolor.NAME".
    tooltip : str
        What is chosen.
    items : dict, optional
        The words of each choice, by the choice.
    """

    opened = Signal()
    """Emitted before the menu opens."""

    def __init__(self, name: str, tooltip: str, items: dict[Any, str] | None = None) -> None:
        super().__init__()
        describe(self, name, tooltip)
        for data, text in (items or {}).items():
            self.addItem(text, data)
        keep_narrow(self)

    def showPopup(self) -> None:
        """Tell, then open."""
        self.opened.emit()
        super().showPopup()

    def choose(self, data: Any) -> None:
        """Choose an entry. What is not there yet, such as a file, becomes one."""
        if _find(self, data) < 0:
            self.addItem(str(data), data)
        self.setCurrentIndex(_find(self, data))


def keep_narrow(menu: Any) -> None:
    """Keep long entries of a menu from widening the panel."""
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    menu.setMinimumContentsLength(8)
    menu.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def fill(menu: QComboBox, items: Iterable[tuple[str, Any]], keep: Any = None) -> None:
    """Replace the entries of a menu; what was chosen stays chosen if it is still there."""
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


class LeaveToPanel(QObject):
    """Leaves to the panel the events that a control would take without being asked.

    The mouse wheel scrolls the panel, unless a slider or spin box has the focus. A menu always
    ignores the wheel, because its next entry may open a dialog. The keys of undo and redo are those
    of the panel, unless the user is typing a number into a spin box.
    """

    def watch(self, panel: QWidget) -> None:
        """Filter the events of all menus, spin boxes and sliders of a panel."""
        for kind in (QComboBox, QAbstractSpinBox, QAbstractSlider):
            for control in panel.findChildren(kind):
                if control.focusPolicy() != Qt.FocusPolicy.NoFocus:
                    # Not WheelFocus: to scroll past a control must not give it the focus.
                    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                control.installEventFilter(self)

    def eventFilter(self, control: QObject, event: QEvent) -> bool:
        """Swallow events that are not meant for the control."""
        if event.type() == QEvent.Type.Wheel:
            takes = not isinstance(control, QComboBox) and control.hasFocus()
        elif event.type() == QEvent.Type.ShortcutOverride:
            takes = not any(map(event.matches, _UNDO)) or not isinstance(control, QAbstractSpinBox)
            takes = takes or control.lineEdit().isUndoAvailable()
        else:
            return False
        if not takes:
            event.ignore()
        return not takes


# --- layout ---------------------------------------------------------------------------------------


class Section(QCollapsible):
    """Controls that are folded away until their title is clicked.

    Parameters
    ----------
    name : str
        The object name of the title is "recolor.NAME".
    title : str
        What the title says.
    keys : str
        Keys that the title shows; whoever owns the section binds them.
    """

    def __init__(self, name: str, title: str, keys: str = "") -> None:
        # The arrow is part of the text, because an icon would keep the color of another theme.
        super().__init__(title, expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.setDuration(0)
        self.keys = keys
        self.title = self.toggleButton()
        self.title.setObjectName(f"recolor.{name}")
        self.title.setStyleSheet("text-align: left; border: none; background: transparent;")
        self.title.setAccessibleName(title)
        shown = show_keys(keys)
        self._words = f"{title}   {shown}" if shown else title
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(2)
        self.content().hide()
        self.toggled.connect(self._unfold)
        self._unfold(False)

    def fill(self, layout: QLayout) -> None:
        """Put a layout of controls into the part that folds."""
        layout.setContentsMargins(12, 0, 0, 4)
        content = QWidget()
        content.setLayout(layout)
        content.hide()
        self.layout().removeWidget(self.content())
        self.content().deleteLater()
        self.setContent(content)

    def minimumSizeHint(self) -> QSize:
        """Also when folded, so that unfolding does not widen the panel."""
        size = super().minimumSizeHint()
        return size.expandedTo(QSize(self.content().minimumSizeHint().width(), 0))

    def _unfold(self, on: bool) -> None:
        self.setText(f"{'▾' if on else '▸'} {self._words}")
        # What has no height can still be reached with the Tab key; what is hidden cannot.
        self.content().setVisible(on)
        self.content().setMaximumHeight(_UNLIMITED)  # texts in it may grow


def make_text(name: str, tooltip: str) -> QLabel:
    """Make a text that the user can select and copy."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    describe(label, name, tooltip)
    return label


def make_check_box(name: str, text: str, tooltip: str) -> QCheckBox:
    """Make a check box."""
    box = QCheckBox(text)
    describe(box, name, tooltip)
    return box


def make_form(*rows: Any) -> QFormLayout:
    """Make a form.

    Parameters
    ----------
    *rows
        Each a widget, or a label and a widget.
    """
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    for row in rows:
        form.addRow(*(row if isinstance(row, tuple) else (row,)))
    return form


def make_row(*widgets: QWidget) -> QWidget:
    """Put widgets beside each other."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return _holder(row)


def with_ends(slider: QWidget, low: str, high: str) -> QWidget:
    """Write what the ends of a slider mean below it."""
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


def _holder(layout: QLayout) -> QWidget:
    holder = QWidget()
    holder.setLayout(layout)
    return holder


def name_fields(panel: QWidget) -> None:
    """Give each field of the forms of a panel the words beside it as its accessible name."""
    kinds = (QComboBox, QAbstractSpinBox, QAbstractSlider, QLineEdit, QToolButton)
    for form in panel.findChildren(QFormLayout):
        for row in range(form.rowCount()):
            label = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole)
            if label is None or field is None or not isinstance(label.widget(), QLabel):
                continue
            holder = field.widget()
            for one in (holder, *(x for kind in kinds for x in holder.findChildren(kind))):
                if isinstance(one, kinds) and not one.accessibleName():
                    one.setAccessibleName(label.widget().text())


def in_reading_order(item: Any) -> Iterator[QWidget]:
    """What the Tab key reaches in a layout or widget, from top to bottom and left to right.

    Parameters
    ----------
    item : QLayout or QWidget
        Where to begin.
    """
    layout = item if isinstance(item, QLayout) else item.layout()
    if isinstance(item, QWidget) and not isinstance(layout, QLayout):
        if item.focusPolicy() in _TABBED:
            yield item
        return
    for i in range(layout.count()):
        inner = layout.itemAt(i)
        widget = inner.widget()  # a menu without entries is false
        part = inner.layout() if widget is None else widget
        if part is not None:
            yield from in_reading_order(part)
