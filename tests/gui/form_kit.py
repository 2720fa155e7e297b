"""The profile form with a small option table, for tests."""

from PySide6.QtWidgets import QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from app.gui.dialogs.profile_form import ProfileForm
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Model, ModelSource, Profile
from app.wire.options import Option, OptionKind, RuntimeInfo

K = OptionKind
OPTIONS = (
    Option("max_tokens", "--max-tokens", K.INT, "Longest answer", "How long.", default=512,
           minimum=1, maximum=1_000_000, unit="tokens", group="Answers", is_basic=True),
    Option("temp", "--temp", K.FLOAT, "Temperature", "How wild.", default=0.0, minimum=0.0,
           maximum=5.0, group="Answers", is_basic=True),
    Option("top_k", "--top-k", K.INT, "Top k", "Only so many.", default=0, minimum=0,
           group="Answers"),
    Option("args", "--args", K.JSON, "Arguments", "For the template.", group="Prompt"),
    Option("trust", "--trust", K.FLAG, "Trust code", "Runs code.", default=False, group="Model"),
    Option("cache", "--cache", K.SIZE, "Cache", "Memory.", group="Model"),
    Option("draft_model", "--draft-model", K.MODEL, "Draft model", "Guesses.", group="Model"),
    Option("level", "--level", K.CHOICE, "Log detail", "How much.", default="INFO",
           choices=("INFO", "DEBUG"), group="Log"),
)  # fmt: skip
RUNTIME = RuntimeInfo("mlx_lm", "mlx-lm", "0.32.2", OPTIONS)
MODELS = [
    Model("mlx-community/Qwen3-4B-4bit", "Qwen3-4B-4bit", "mlx-community", ModelSource.HUB, "/a",
          1),
    Model("mlx-community/Broken", "Broken", "mlx-community", ModelSource.HUB, "/b", 1,
          problem="It has no weights."),
    Model("someone/Newborn", "Newborn", "someone", ModelSource.HUB, "/c", 1, needs_python=True,
          problem="The built-in mlx-lm does not know the architecture newborn."),
]  # fmt: skip
FITS = {MODELS[0].id: Fit(Verdict.TIGHT, "It is tight.", 4096)}


def form(qtbot: QtBot, profile: Profile | None = None) -> ProfileForm:
    dialog = ProfileForm(RUNTIME, profile, MODELS, FITS)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    return dialog


def field(dialog: ProfileForm, name: str) -> QLineEdit:
    control = dialog.rows[name].control
    assert isinstance(control, QLineEdit)
    return control


def texts(dialog: ProfileForm) -> list[str]:
    return [label.text() for label in dialog.findChildren(QLabel) if label.isVisible()]
