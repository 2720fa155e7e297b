"""A stand-in for launchctl and systemctl: a real program that answers as they do."""

import json
import os
import sys
from pathlib import Path

_PROGRAM = """#!{python}
import json, sys
from pathlib import Path

state = Path({state!r})
known = json.loads(state.read_text())
words = [word for word in sys.argv[1:] if word != "--user"]
known["said"].append(words)
name = Path(words[-1].rpartition("/")[2]).name.removesuffix(".plist") if words else ""
loaded, verb, code = known["loaded"], words[0], 0
if verb in known["broken"]:
    code = known["broken"][verb]
elif verb == "bootstrap":
    # launchd takes a label once, and none that is switched off.
    code = 5 if name in loaded or name in known["off"] else 0
elif verb in ("bootout", "print"):
    code = 0 if name in loaded else {{"bootout": 3, "print": 113}}[verb]
elif verb == "stop":
    code = 0 if name in loaded else 5
elif verb == "enable":
    known["off"] = [one for one in known["off"] if one != name]
if code == 0 and verb in ("bootstrap", "restart") and name not in loaded:
    loaded.append(name)
if code == 0 and verb in ("bootout", "stop"):
    loaded.remove(name)
# At once: a test reads it meanwhile.
new = state.with_suffix(".new")
new.write_text(json.dumps(known))
new.replace(state)
if code:
    print(f"{{verb}} failed: {{code}}", file=sys.stderr)
sys.exit(code)
"""


class ServiceManager:
    """What the stand-in knows and was told; `folder` goes onto the search path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "manager"
        self.folder.mkdir()
        self._state = folder / "manager.json"
        self._write({"said": [], "loaded": [], "off": [], "broken": {}})
        text = _PROGRAM.format(python=sys.executable, state=str(self._state))
        for name in ("launchctl", "systemctl"):
            program = self.folder / name
            program.write_text(text)
            program.chmod(0o755)

    @property
    def path(self) -> str:
        """The search path with the stand-in before everything else."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    @property
    def loaded(self) -> list[str]:
        """The labels or units that run."""
        return self._read()["loaded"]

    @property
    def said(self) -> list[str]:
        """The commands so far, but those that only look."""
        lines = (" ".join(words) for words in self._read()["said"])
        return [line for line in lines if not line.startswith("print")]

    def switch_off(self, name: str) -> None:
        """As the user does in the settings of the system."""
        self._write(self._read() | {"off": [name]})

    def break_down(self, verb: str, code: int = 1) -> None:
        """From now on answer a command like this."""
        self._write(self._read() | {"broken": {verb: code}})

    def _read(self) -> dict[str, list[str]]:
        return json.loads(self._state.read_text())

    def _write(self, known: object) -> None:
        self._state.write_text(json.dumps(known))
