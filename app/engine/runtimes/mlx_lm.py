"""mlx_lm.server in our runner: its command and its failures in words."""

import json
import shlex
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from app.architectures import unknown_architecture
from app.engine.runtimes.mlx_lm_options import OPTIONS, TABLE
from app.engine.runtimes.python import Python, Pythons
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure, Profile
from app.wire.options import RuntimeInfo
from app.wire.policy import public_port
from app.wire.portable import FieldProblem, LaunchPreview, PythonFacts

_PROGRAM = "mlx_lm.server"
_USUAL_PORT = 8080
"""What mlx_lm.server listens on by itself; for a command that is typed somewhere else."""
_OTHER_PYTHON = "Use another Python, one whose mlx-lm knows it, or choose another model."
_NO_FIT = "The config.json of {model} lacks what this mlx-lm needs for its architecture."
_NO_FIT_HINT = "Download the model again, or use another Python with a newer mlx-lm."

_CAUSES: tuple[tuple[str, ErrorCode, str, str], ...] = (
    ("insufficient memory", ErrorCode.OUT_OF_MEMORY, "The GPU ran out of memory.",
     "Stop another server, or choose a smaller model or fewer parallel answers."),
    ("outofmemory", ErrorCode.OUT_OF_MEMORY, "The GPU ran out of memory.",
     "Stop another server, or choose a smaller model or fewer parallel answers."),
    ("unable to allocate", ErrorCode.OUT_OF_MEMORY, "The memory ran out.",
     "Stop another server, or choose a smaller model or fewer parallel answers."),
    ("model type", ErrorCode.MODEL_UNSUPPORTED,
     "The mlx-lm of this server does not know the architecture of {model}.", _OTHER_PYTHON),
    ("no safetensors found", ErrorCode.MODEL_BROKEN, "{model} has no weights.",
     "Download the model again."),
    ("incomplete download", ErrorCode.MODEL_BROKEN, "A weight file of {model} is incomplete.",
     "Download the model again."),
    ("load_safetensors", ErrorCode.MODEL_BROKEN, "A weight file of {model} cannot be read.",
     "Download the model again."),
    ("expected shape", ErrorCode.MODEL_BROKEN,
     "The weights of {model} do not fit its config.json.", "Download the model again."),
    ("backend tokenizer", ErrorCode.MODEL_BROKEN, "{model} has no usable tokenizer.",
     "Download the model again."),
    ("adapter path does not exist", ErrorCode.OPTION_WRONG,
     "The adapter folder of this profile does not exist.", "Choose another adapter folder."),
    ("trust_remote_code", ErrorCode.OPTION_WRONG,
     "{model} brings Python code of its own, which this profile does not allow.",
     "Allow it in the profile if you trust its author."),
    ("no module named", ErrorCode.PYTHON_UNUSABLE,
     "The Python of this server lacks a package that {model} needs.",
     "Install it there, or use another Python; the log names the package."),
    ("required positional argument", ErrorCode.MODEL_BROKEN, _NO_FIT, _NO_FIT_HINT),
    ("unexpected keyword argument", ErrorCode.MODEL_BROKEN, _NO_FIT, _NO_FIT_HINT),
    ("refused its options", ErrorCode.OPTION_WRONG,
     "mlx-lm does not take an option of this profile.",
     "Take it out of the profile; the log names it."),
    ("cached snapshot", ErrorCode.MODEL_MISSING, "{model} is not on this disk.",
     "Download the model first."),
    ("config.json", ErrorCode.MODEL_BROKEN, "{model} has no config.json.",
     "Download the model again."),
    ("address already in use", ErrorCode.PORT_BUSY, "The port of the server is taken.",
     "Start it again; another port is used then."),
)  # fmt: skip
"""Part of the reported error in lower case, code, sentence, advice; the first match counts."""


class MlxLm:
    """Text models by mlx-lm."""

    def __init__(self, python: Callable[[], str] = str) -> None:
        self._python = python
        self._pythons = Pythons()
        self.info = RuntimeInfo("mlx_lm", "mlx-lm", metadata.version("mlx-lm"), TABLE)

    def refresh(self) -> None:
        """Take the Python that the settings name."""
        python = self._pythons.find(self._python())
        self.info = msgspec.structs.replace(
            self.info,
            version=python.versions.get("mlx-lm", ""),
            text=python.problem or python.text,
            unsupported=_unsupported(python),
            python=python.name,
        )

    def command(self, profile: Profile, model: str) -> list[str]:
        """Return the runner's command; the server takes any free loopback port."""
        python = self._python_of(profile)
        if python.problem:
            raise AppError(
                f"The Python of “{profile.name}” cannot be used: {python.problem}",
                hint="Choose another Python in the profile or in the settings.",
                code=ErrorCode.PYTHON_UNUSABLE,
            )
        unknown = [name for name in _unsupported(python) if name in profile.options]
        if unknown:
            reason = _unsupported(python)[unknown[0]]
            raise AppError(
                f"“{profile.name}” cannot be started: {reason}",
                hint="Take the option out of the profile, or update mlx-lm.",
                code=ErrorCode.PYTHON_UNUSABLE,
            )
        for stranger in _strangers(python, profile, model).values():
            raise AppError(stranger, hint=_OTHER_PYTHON, code=ErrorCode.MODEL_UNSUPPORTED)
        # Port 0: any free one; the runner tells which.
        return [*python.command(), *_arguments(profile, model, port=0)]

    def environment(self, profile: Profile) -> dict[str, str]:
        """Return the variables that the profile sets; never the app's own."""
        given: dict[str, Any] = json.loads(str(profile.options.get("environment", "{}")))
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in given.items()
            if not name.upper().startswith("MLX_MANAGER_")
        }

    def preview(self, profile: Profile, model: str) -> LaunchPreview:
        """Return the server's command as a terminal takes it, and its Python."""
        python = self._python_of(profile)
        program = [python.program, "-m", "mlx_lm", "server"] if python.program else [_PROGRAM]
        variables = [f"{k}={shlex.quote(v)}" for k, v in self.environment(profile).items()]
        port = public_port(profile.policy) or _USUAL_PORT
        arguments = _arguments(profile, model, port=port)
        command = _typed([*variables, shlex.join(program)], arguments)
        facts = PythonFacts(
            python.program, "" if python.problem else python.text, python.problem,
            _unsupported(python),
        )  # fmt: skip
        problems = [
            FieldProblem(n, r) for n, r in facts.unsupported.items() if n in profile.options
        ]
        if python.problem:
            problems.append(FieldProblem("python", python.problem))
        else:
            strangers = _strangers(python, profile, model).items()
            problems += [FieldProblem(name, f"{text} {_OTHER_PYTHON}") for name, text in strangers]
        return LaunchPreview("" if python.problem else command, tuple(problems), facts)

    def _python_of(self, profile: Profile) -> Python:
        return self._pythons.find(str(profile.options.get("python", "")) or self._python())

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        """Return the failure that mlx-lm's error means."""
        lower = error.lower()
        for part, code, sentence, hint in _CAUSES:
            if part in lower:
                return Failure(code, sentence.format(model=profile.model), hint)
        if stage == "load":
            return Failure(
                ErrorCode.MODEL_BROKEN,
                f"{profile.model} could not be loaded by mlx-lm.",
                "Download the model again, or use another Python; the log has the reason.",
            )
        when = " while it generated" if stage == "generate" else ""
        return Failure(
            ErrorCode.SERVER_CRASHED,
            f"The server ended with an error{when}.",
            "Start it again; the log has the reason.",
        )


def _arguments(profile: Profile, model: str, *, port: int) -> list[str]:
    arguments = ["--model", model, "--host", "127.0.0.1", "--port", str(port)]
    # The gateway is the only client, so no web page needs an allowance.
    arguments += ["--allowed-origins", ""]
    for option in OPTIONS:
        value = profile.options.get(option.name)
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(option.flag)
        else:
            # Joined by "=", a value that begins with a dash cannot be taken for an option.
            arguments.append(f"{option.flag}={value}")
    return arguments


def _typed(program: list[str], arguments: list[str]) -> str:
    """Return a command as it is typed in a terminal, a line for each option."""
    lines = [" ".join(program)]
    for argument in arguments:
        if argument.startswith("--"):
            lines.append(shlex.quote(argument))
        else:
            lines[-1] += f" {shlex.quote(argument)}"
    return " \\\n  ".join(lines)


def _unsupported(python: Python) -> dict[str, str]:
    version = python.versions.get("mlx-lm", "")
    unknown = [] if python.problem else [row for row in OPTIONS if not python.knows(row.flag)]
    return {row.name: f"mlx-lm {version} has no {row.flag}." for row in unknown}


def _strangers(python: Python, profile: Profile, model: str) -> dict[str, str]:
    """Return why a Python cannot load the model or the draft model, by the name of the field."""
    version = f"mlx-lm {python.versions.get('mlx-lm', '')}".strip()
    which = f"The {version} of {python.program}" if python.program else f"The built-in {version}"
    folders = {"model": model, "draft_model": str(profile.options.get("draft_model", ""))}
    found = {
        name: unknown_architecture(Path(folder), python.architectures)
        for name, folder in folders.items()
        if folder
    }
    what = {"model": "", "draft_model": " of the draft model"}
    return {
        name: f"{which} does not know the architecture {family}{what[name]}."
        for name, family in found.items()
        if family
    }
