"""A window that colorizes a folder: its progress, and a contact sheet of what is done."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QCloseEvent, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import GeneratorWorker, create_worker

from napari_recolor.files.folder import RENEW, FolderStep, colorize_folder
from napari_recolor.runs.options import Options

SIDE = 160
"""The longer side of an image of the contact sheet, in pixels of the screen."""

WORDS = {"there": "there already", "kept": "kept", "failed": "failed"}
"""What the contact sheet says of an image that was not colorized."""


class FolderWindow(QWidget):
    """Colorizes the images of a folder with the settings of the panel.

    Parameters
    ----------
    options : callable
        Gives the settings when the work begins.
    parent : QWidget, optional
        Of the window.
    """

    opened = Signal(str)
    """Emitted with the path of a result that the user wants to see."""

    def __init__(self, options: Callable[[], Options], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Colorize a folder")
        self.resize(760, 620)
        self._options = options
        self._worker: GeneratorWorker | None = None
        self._stop = Event()
        self.source, self.output = QLineEdit(), QLineEdit()
        form = QFormLayout()
        form.addRow("Images in", self._choice(self.source, "Folder of images"))
        form.addRow("Results into", self._choice(self.output, "Folder of results"))
        self.source.textChanged.connect(self._suggest)
        self.start = _button("Colorize the folder", "Colorize the images that are not done yet.")
        self.cancel = _button("Cancel", "Stop within a moment. Results that are finished are kept.")
        self.renew = QCheckBox(RENEW)
        self.renew.setToolTip(
            "Make results again that were made with other settings or of another source. Otherwise "
            "they are kept."
        )
        self.start.clicked.connect(self.run)
        self.cancel.clicked.connect(self._stop_now)
        self.progress = QProgressBar()
        self.status = QLabel("Settings are those of the panel; hints belong to single images.")
        self.status.setWordWrap(True)
        self.sheet = QListWidget()
        self.sheet.setAccessibleName("Contact sheet: gray above color")
        self.sheet.setToolTip("Gray above color. A double click opens the result.")
        self.sheet.setViewMode(QListView.ViewMode.IconMode)
        self.sheet.setResizeMode(QListView.ResizeMode.Adjust)
        self.sheet.setMovement(QListView.Movement.Static)
        self.sheet.setIconSize(QSize(SIDE, 2 * SIDE))
        self.sheet.itemActivated.connect(self._open)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.renew)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.progress)
        column.addWidget(self.status)
        column.addWidget(self.sheet, 1)
        self._enable()

    @property
    def busy(self) -> bool:
        """Whether a folder is being colorized."""
        return self._worker is not None

    def run(self) -> None:
        """Colorize the folder in a worker thread."""
        if self.busy:
            return
        self.sheet.clear()
        self._stop = Event()
        self.status.setText("Starting…")
        self.progress.setRange(0, 0)
        self._worker = create_worker(
            colorize_folder,
            Path(self.source.text()),
            Path(self.output.text()),
            self._options(),
            self._stop,
            renew=self.renew.isChecked(),
        )
        self._worker.yielded.connect(self._on_step)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()
        self._enable()

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the work: results that are finished are kept."""
        self._stop.set()
        super().closeEvent(event)

    def _stop_now(self) -> None:
        self.status.setText("Canceling…")
        self._stop.set()

    def _on_step(self, step: FolderStep) -> None:
        if step.status == "end":
            self.status.setText(step.message)
            return
        self.progress.setRange(0, max(1, step.total))
        self.progress.setValue(step.done)
        if not step.name:
            return
        if not self._stop.is_set():
            self.status.setText(f"{step.done} of {step.total}: {step.name}")
        words = WORDS.get(step.status)
        said = f"{step.name}: {words}" if words else step.name
        item = QListWidgetItem(said)
        item.setToolTip(step.message or step.output)
        item.setData(Qt.ItemDataRole.UserRole, step.output if step.status != "failed" else "")
        if step.thumbnail:
            shown = QPixmap()
            shown.loadFromData(step.thumbnail)
            item.setIcon(QIcon(shown))
        self.sheet.addItem(item)

    def _on_finished(self) -> None:
        self._worker = None
        self.progress.setRange(0, max(1, self.progress.maximum()))
        self._enable()

    def _enable(self) -> None:
        there = bool(self.source.text() and self.output.text())
        self.start.setEnabled(there and not self.busy)
        self.cancel.setEnabled(self.busy)

    def _suggest(self, source: str) -> None:
        folder = Path(source)
        self.output.setText(str(folder.with_name(f"{folder.name} colorized")) if source else "")
        self._enable()

    def _open(self, item: QListWidgetItem) -> None:
        path = item.data(Qt.ItemDataRole.UserRole)
        if path:
            self.opened.emit(path)

    def _choice(self, line: QLineEdit, title: str) -> QWidget:
        line.textChanged.connect(lambda _: self._enable())
        line.setAccessibleName(title)
        choose = _button("Choose…", title)

        def ask() -> None:
            path = QFileDialog.getExistingDirectory(self, title, line.text())
            if path:
                line.setText(path)

        choose.clicked.connect(ask)
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(line, 1)
        row.addWidget(choose)
        return holder


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
