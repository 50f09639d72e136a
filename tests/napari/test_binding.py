"""Controls and preferences in the real window."""

import pytest
from npe2 import PluginManager

from napari_recolor.panel.settings import panel_settings
from napari_recolor.runs.layers import KEY
from napari_recolor.runs.options import Options

from .windows import run

pytestmark = pytest.mark.gui


def test_settings_survive_and_can_be_restored(panel, preferences_of_this_test, qtbot):
    panel.controls.vividness.setValue(0.25)
    panel.controls.scope.setCurrentText("visible region")
    saved = preferences_of_this_test.read_text(encoding="utf-8")
    assert "vividness: 0.25" in saved
    assert "scope: region" in saved

    # A napari that starts anew finds them.
    from napari.settings import _clear_plugin_settings_cache

    _clear_plugin_settings_cache()
    _, again = panel.viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    from napari_recolor.widget import ColorizeWidget

    fresh = ColorizeWidget(panel.viewer) if again is panel else again
    qtbot.waitUntil(lambda: fresh.complete)
    assert fresh.controls.vividness.value() == 0.25
    assert fresh.controls.scope.currentText() == "visible region"
    assert fresh.controls.size.value() == 64
    fresh.controls.restore.click()
    assert fresh.controls.vividness.value() == 0.8
    assert fresh.controls.scope.currentText() == "current slice"
    assert "vividness" not in preferences_of_this_test.read_text(encoding="utf-8")
    fresh.deleteLater()


def test_the_preferences_dialog_and_the_panel_agree(panel):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    dialog = PreferencesDialog()
    pages = [dialog._list.item(i).text() for i in range(dialog._list.count())]
    assert "Recolor" in pages
    panel._preferences.vividness = 0.75  # what the dialog sets
    assert panel.controls.vividness.value() == 0.75
    dialog.close()


def test_preferences_are_those_that_the_library_declares(panel):
    contribution = PluginManager.instance().get_manifest("napari-recolor").contributions
    page = contribution.configurations["colorize"]
    kinds = {float: "number", int: "integer", bool: "boolean", str: "string"}
    assert set(page.properties) == set(panel_settings())
    for name, setting in panel_settings().items():
        about = page.properties[name]
        assert about.title == setting.label
        assert about.description == setting.help
        assert about.type == kinds[setting.type]
        assert (about.minimum, about.maximum) == (setting.low, setting.high)
        assert tuple(about.enum or ()) == setting.choices
        assert about.default == setting.default
    fields = type(panel._preferences).model_fields
    assert Options() == Options(
        **{name: fields[name].default for name in Options.__dataclass_fields__ if name in fields}
    )


@pytest.mark.slow
def test_weights_of_a_file(panel, tmp_path, finish, monkeypatch):
    from recolor_core import weights

    path = tmp_path / "mine.safetensors"
    path.write_bytes((weights.BUNDLED / "default.safetensors").read_bytes())
    monkeypatch.setattr(
        "napari_recolor.panel.binding.QFileDialog.getOpenFileName", lambda *_: (str(path), "")
    )
    menu = panel.controls.weights
    menu.setCurrentText("choose a file…")
    assert menu.currentText() == "mine.safetensors"
    assert panel._preferences.weights == str(path)
    assert run(panel, finish)["rgb"].metadata[KEY]["weights"]["asked"] == str(path)
