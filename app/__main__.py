"""The one entry of the program: the first argument decides what it is, before any import."""

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run the mode that the arguments name; without arguments, the app."""
    if getattr(sys, "frozen", False):
        # Only a frozen program starts itself for multiprocessing; others start faster without.
        import multiprocessing

        multiprocessing.freeze_support()
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments and os.path.basename(sys.argv[0]) == "mlxm":  # noqa: PTH119 - quick start
        # A link of this name to the program of the bundle, as Homebrew makes it.
        return mlxm([])
    mode = arguments[0] if arguments else "gui"
    program = _PROGRAMS.get(mode)
    if program is not None:
        return program(arguments[1:])
    if arguments and mode.startswith("--engine") and len(arguments) == (1 if "=" in mode else 2):
        # An address and no command: the window, on that engine.
        return _gui(arguments)
    if arguments and all(_is_target(argument) for argument in arguments):
        return _gui(arguments)
    if mode == "--selftest":
        return mlxm(["selftest"])
    return mlxm(arguments)


def _is_target(argument: str) -> bool:
    """Return True for a link or a profile file, which the window opens; see app.gui.links."""
    text = argument.casefold()
    return text.startswith("mlxmanager:") or text.endswith(".mlxprofile")


# Each mode imports only its own program: the guard must stay small and the GUI free of MLX.
def _guard(_arguments: list[str]) -> int:
    from app import guard

    return guard.main()


def _runner(arguments: list[str]) -> int:
    from app.runner import main as runner

    runner.main(arguments)
    return 0


def _worker(arguments: list[str]) -> int:
    from app.worker import main as worker

    return worker.main(arguments)


def _engine(arguments: list[str]) -> int:
    if arguments in (["--install"], ["--uninstall"]):
        from app.cli import login_item

        return login_item.run(arguments[0])
    from app.engine import main as engine

    return engine.main(arguments)


def _gui(arguments: list[str]) -> int:
    if not _has_display():
        return _run_headless()
    from app.gui import main as gui

    return gui.main(arguments)


_PROGRAMS = {
    "guard": _guard,
    "runner": _runner,
    "worker": _worker,
    "engine": _engine,
    "gui": _gui,
}


def _has_display() -> bool:
    # Qt ends the process with a core dump when it finds no display.
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _run_headless() -> int:
    sys.stderr.write("There is no display here, so the engine runs without a window.\n")
    return _engine([])


def mlxm(argv: list[str] | None = None) -> int:
    """Run the command line client; `mlxm engine` runs an engine in this process."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["engine"]:
        return _engine(arguments[1:])
    from app.cli import main as cli

    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
