"""What goes into the frozen program, and what it does before PyInstaller's own start-up code."""

import importlib
import os
import plistlib
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from patience import DEADLINE_S

from app import __main__ as program
from app import __version__, guard, paths
from app.cli import selftest
from app.gui import links
from app.worker import check

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "build.spec"


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that build.spec takes its data from."""
    monkeypatch.syspath_prepend(ROOT / "resources/packaging")
    monkeypatch.delitem(sys.modules, "bundle", raising=False)
    module = importlib.import_module("bundle")
    yield module
    del sys.modules["bundle"]


def test_info_plist_after_round_trip_is_the_same_and_fit_for_macos(bundle: Any) -> None:
    plist = bundle.info_plist()
    assert plistlib.loads(plistlib.dumps(plist)) == plist
    assert plist["CFBundleVersion"] == plist["CFBundleShortVersionString"] == __version__
    assert plist["LSMinimumSystemVersion"] == "14.0"
    assert re.fullmatch(r"[A-Za-z0-9.-]+", plist["CFBundleIdentifier"])
    # The text "true" would be taken for false.
    assert plist["NSHighResolutionCapable"] is True
    assert plist["NSRequiresAquaSystemAppearance"] is False
    assert plist["NSSupportsSuddenTermination"] is False
    assert "LSBackgroundOnly" not in plist


def test_info_plist_asks_for_the_local_network_in_words(bundle: Any) -> None:
    plist = bundle.info_plist()
    assert plist["NSLocalNetworkUsageDescription"].endswith(".")
    for service in plist["NSBonjourServices"]:
        assert re.fullmatch(r"_[a-z0-9-]{1,15}\._(tcp|udp)", service)


def test_program_by_the_name_that_homebrew_gives_it_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cask = (ROOT / "resources/packaging/mlx-model-manager.cask.rb").read_text(encoding="utf-8")
    assert 'target: "mlxm"' in cask
    monkeypatch.setattr(sys, "argv", ["/opt/homebrew/bin/mlxm"])
    with pytest.raises(SystemExit):
        program.main()
    assert "usage: mlxm" in capsys.readouterr().err


def test_info_plist_gives_a_reason_wherever_macos_asks_for_one(bundle: Any) -> None:
    reasons = {k: v for k, v in bundle.info_plist().items() if k.endswith("UsageDescription")}
    assert "NSRemovableVolumesUsageDescription" in reasons
    for reason in reasons.values():
        assert re.fullmatch(r"To .+\.", reason)


def test_info_plist_claims_the_links_and_files_that_the_app_reads(bundle: Any) -> None:
    plist = bundle.info_plist()
    (urls,) = plist["CFBundleURLTypes"]
    assert urls["CFBundleURLSchemes"] == [links.SCHEME]
    (document,) = plist["CFBundleDocumentTypes"]
    (kind,) = plist["UTExportedTypeDeclarations"]
    assert document["LSItemContentTypes"] == [kind["UTTypeIdentifier"]]
    assert kind["UTTypeTagSpecification"] == {
        "public.filename-extension": [links.PROFILE_SUFFIX.removeprefix(".")]
    }


@pytest.mark.parametrize(
    ("wheel", "oldest"),
    [
        ("Tag: py3-none-macosx_14_0_arm64", "14.0"),
        ("Tag: py3-none-macosx_26_0_arm64", "26.0"),
        ("Tag: py3-none-any", "14.0"),
        (None, "14.0"),
    ],
)
def test_oldest_system_is_that_of_the_shaders_that_are_built_in(
    bundle: Any, monkeypatch: pytest.MonkeyPatch, wheel: str | None, oldest: str
) -> None:
    class Package:
        def read_text(self, name: str) -> str | None:
            return wheel if name == "WHEEL" else None

    monkeypatch.setattr(bundle.metadata, "distribution", lambda _name: Package())
    assert bundle.info_plist()["LSMinimumSystemVersion"] == oldest


@pytest.mark.parametrize(
    ("identity", "rights"),
    [
        # Without a team, libraries that are signed by nobody would be refused.
        (None, {"allow-unsigned-executable-memory", "disable-library-validation"}),
        ("Developer ID Application: Somebody", {"allow-unsigned-executable-memory"}),
    ],
)
def test_entitlements_are_the_fewest_that_the_signature_allows(
    bundle: Any, monkeypatch: pytest.MonkeyPatch, identity: str | None, rights: set[str]
) -> None:
    monkeypatch.setenv("CODESIGN_IDENTITY", identity or "")
    entitlements = plistlib.loads(bundle.entitlements().read_bytes())
    assert entitlements == {f"com.apple.security.cs.{name}": True for name in rights}
    assert plistlib.loads(plistlib.dumps(entitlements)) == entitlements


def test_program_name_is_no_package_in_any_spelling(bundle: Any) -> None:
    names = {name.partition(".")[0].casefold() for name in bundle.hidden_imports()}
    assert bundle.PROGRAM.casefold() not in names


def test_hidden_imports_hold_every_module_of_the_app(bundle: Any) -> None:
    hidden = set(bundle.hidden_imports())
    for file in (ROOT / "app").rglob("*.py"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert name in hidden or name == "app.__main__"


def test_hidden_imports_hold_every_file_that_mlx_lm_imports_by_name(bundle: Any) -> None:
    hidden = set(bundle.hidden_imports())
    for folder in ("models", "tool_parsers", "chat_templates"):
        for file in (bundle.package_folder("mlx_lm") / folder).glob("*.py"):
            name = f"mlx_lm.{folder}.{file.stem}".removesuffix(".__init__")
            assert name in hidden
    assert {"mlx_lm.models.nemotron-nas", "mlx_lm.server", "mlx_lm.utils"} <= hidden


def test_hidden_imports_hold_what_the_compiled_part_of_mlx_imports(bundle: Any) -> None:
    assert {"mlx.core", "mlx._reprlib_fix", "mlx.nn", "mlx.utils"} <= set(bundle.hidden_imports())


def test_hidden_imports_keep_tokenizers_and_their_helpers(bundle: Any) -> None:
    hidden = set(bundle.hidden_imports())
    for file in (bundle.package_folder("transformers") / "models").glob("*/tokenization_*.py"):
        assert f"transformers.models.{file.parent.name}.{file.stem}" in hidden
    assert {
        "transformers.models.auto.modeling_auto",
        "transformers.models.whisper.english_normalizer",
        "transformers.models.clvp.number_normalizer",
    } <= hidden


def test_excludes_leave_out_models_of_torch_and_nothing_that_is_wanted(bundle: Any) -> None:
    excluded = set(bundle.excludes())
    assert "transformers.models.llama.modeling_llama" in excluded
    assert "torch" in excluded
    for name in bundle.hidden_imports():
        parts = name.split(".")
        assert not {".".join(parts[: i + 1]) for i in range(len(parts))} & excluded
    # Libraries import it late.
    assert "unittest" not in excluded


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, ""),
        (
            {"GITHUB_API_URL": "https://api.example.org", "GITHUB_REPOSITORY": "acme/app"},
            "https://api.example.org/repos/acme/app/releases/latest",
        ),
        ({"RELEASES_URL": "https://example.org/latest"}, "https://example.org/latest"),
    ],
)
def test_released_program_knows_where_releases_come_from(
    bundle: Any,
    environment: dict[str, str],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GITHUB_API_URL", "GITHUB_REPOSITORY", "RELEASES_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bundle, "RELEASES_URL", tmp_path / "resources/releases-url.txt")
    files = bundle.release_files()
    assert files == ([(str(bundle.RELEASES_URL), "resources")] if url else [])
    # The frozen program finds the file under this name in its own folder.
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert paths.releases_url() == url


def test_data_files_hold_every_resource_but_those_for_building(bundle: Any) -> None:
    collected = {Path(folder) / Path(file).name for file, folder in bundle.data_files()}
    wanted = {
        file.relative_to(ROOT)
        for file in paths.resources().rglob("*")
        if file.is_file() and "packaging" not in file.parts
    }
    assert wanted <= collected
    assert Path("resources/demo-model/model.safetensors") in collected
    assert Path("mlx_lm/utils.py") in collected
    assert not [path for path in collected if "packaging" in path.parts]


def test_runner_for_another_python_is_whole(bundle: Any, tmp_path: Path) -> None:
    for file, folder in bundle.data_files():
        if folder.startswith("runner-source"):
            target = tmp_path / folder / Path(file).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(file).read_bytes())
    code = "import sys; sys.path[:0] = sys.argv[1:]; import app.runner.main as m; print(m.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "runner-source")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path))


def test_shaders_are_found_beside_both_places_of_the_library(
    bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("libmlx.dylib", "libjaccl.dylib", "mlx.metallib"):
        (tmp_path / "lib" / name).touch()
    (tmp_path / "utils.py").touch()
    monkeypatch.setattr(bundle, "package_folder", lambda _name: tmp_path)
    assert {Path(file).name for file, _ in bundle.libraries()} == {"libmlx.dylib", "libjaccl.dylib"}
    assert (str(tmp_path / "lib/mlx.metallib"), "mlx/lib") in bundle.data_files()
    assert bundle.LINKS_DARWIN == (("mlx.metallib", "mlx/lib/mlx.metallib", "SYMLINK"),)


def test_shaders_are_in_both_places_of_the_bundle(bundle: Any, tmp_path: Path) -> None:
    """As PyInstaller lays a bundle out; the function is its own, so the version is locked."""
    osx = pytest.importorskip("PyInstaller.building.osx", reason="make bundle installs it")
    source = str(tmp_path / "source")
    toc = [
        (bundle.PROGRAM, source, "EXECUTABLE"),
        ("mlx/core.so", source, "EXTENSION"),
        ("mlx/lib/libmlx.dylib", source, "BINARY"),
        ("libmlx.dylib", "mlx/lib/libmlx.dylib", "SYMLINK"),
        ("mlx/lib/mlx.metallib", source, "DATA"),
        *bundle.LINKS_DARWIN,
    ]
    layout = osx.BUNDLE.__new__(osx.BUNDLE)._process_bundle_toc(toc)
    root = tmp_path / "app"
    for name, target, kind in layout:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "SYMLINK":
            file.symlink_to(target)
        else:
            file.write_text(name)
    frameworks = root / "Contents/Frameworks"
    for library in ("libmlx.dylib", "mlx/lib/libmlx.dylib"):
        assert (frameworks / library).read_text() == "Contents/Frameworks/mlx/lib/libmlx.dylib"
        beside = (frameworks / library).parent / "mlx.metallib"
        # Among the resources: in Contents/MacOS, codesign would take it for code.
        assert beside.read_text() == "Contents/Resources/mlx/lib/mlx.metallib"


@pytest.mark.parametrize(
    ("destination", "wanted"),
    [
        ("PySide6/Qt/plugins/platforms/libqxcb.so", True),
        ("PySide6/Qt/plugins/platforms/libqoffscreen.so", True),
        ("PySide6/Qt/plugins/platforms/libqcocoa.dylib", True),
        ("PySide6/Qt/plugins/styles/libqmacstyle.dylib", True),
        ("PySide6/Qt/plugins/iconengines/libqsvgicon.so", True),
        ("PySide6/Qt/plugins/platforms/libqwayland.so", False),
        ("PySide6/Qt/plugins/platformthemes/libqgtk3.so", False),
        ("PySide6/Qt/plugins/sqldrivers/libqsqlite.so", False),
        ("PySide6/Qt/lib/libQt6Core.so.6", True),
        ("PySide6/Qt/lib/libicudata.so.73", True),
        ("PySide6/Qt/lib/libQt6Quick.so.6", False),
        ("libQt6Widgets.so.6", True),
        ("libQt6VirtualKeyboard.so.6", False),
        ("PySide6/Qt/lib/QtWidgets.framework/Versions/A/QtWidgets", True),
        ("PySide6/Qt/lib/QtQml.framework/Versions/A/QtQml", False),
        ("PySide6/Qt/lib/QtQml.framework/Resources/Info.plist", False),
        ("PySide6/QtGui.abi3.so", True),
        ("PySide6/QtOpenGL.abi3.so", True),
        ("PySide6/QtQml.abi3.so", False),
        ("PySide6/libpyside6.abi3.6.11.dylib", True),
        ("PySide6/Qt/translations/qtbase_de.qm", False),
        ("mlx/lib/libmlx.so", True),
        ("libharfbuzz.so.0", False),
        ("libgtk-3.so.0", False),
        ("libepoxy.so.0", False),
        ("libxkbcommon-x11.so.0", True),
        ("resources/icons/play.svg", True),
    ],
)
def test_file_of_analysis_is_kept_only_if_the_app_uses_it(
    bundle: Any, destination: str, wanted: bool
) -> None:
    assert bundle.is_wanted(destination) is wanted


class _Step:
    """Stands for a step of PyInstaller and keeps its arguments."""

    made: dict[str, "_Step"]

    def __init__(self, name: str, made: dict[str, "_Step"]) -> None:
        self.name, self.made = name, made
        self.pure = self.scripts = ()
        self.binaries = [("PySide6/QtQml.abi3.so", "", ""), ("mlx/core.so", "", "")]
        self.datas = [("PySide6/Qt/translations/de.qm", "", ""), ("resources/a.svg", "", "")]

    def __call__(self, *args: Any, **kwargs: Any) -> "_Step":
        self.args, self.kwargs = args, kwargs
        self.made[self.name] = self
        return self


@pytest.mark.parametrize("darwin", [True, False])
def test_card_07_spec_makes_one_windowed_program_on_macos_and_a_plain_one_elsewhere(
    bundle: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, darwin: bool
) -> None:
    licences = tmp_path / "licences.txt"
    monkeypatch.setattr(bundle, "DARWIN", darwin)
    monkeypatch.setattr(bundle, "LICENCES", licences)
    hooks = ModuleType("PyInstaller.utils.hooks")
    hooks.copy_metadata = lambda name: [(name, name)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    monkeypatch.setattr(sys, "path", [*sys.path])
    made: dict[str, _Step] = {}
    names = ("Analysis", "PYZ", "EXE", "COLLECT", "BUNDLE")
    scope = {name: _Step(name, made) for name in names} | {"SPECPATH": str(ROOT)}
    exec(compile(SPEC.read_text(encoding="utf-8"), str(SPEC), "exec"), scope)  # noqa: S102 - ours
    assert ("mlx-lm", "mlx-lm") in made["Analysis"].kwargs["datas"]
    assert made["EXE"].kwargs["console"] is not darwin
    assert made["EXE"].kwargs["target_arch"] == ("arm64" if darwin else None)
    binaries, datas, links = made["COLLECT"].args[1:]
    assert [entry[0] for entry in binaries] == ["mlx/core.so"]
    assert [entry[0] for entry in datas] == ["resources/a.svg"]
    assert list(links) == (list(bundle.LINKS_DARWIN) if darwin else [])
    assert made["BUNDLE"].kwargs["name"] == "MLX Model Manager.app"
    assert made["BUNDLE"].kwargs["info_plist"] == bundle.info_plist()
    assert Path(made["BUNDLE"].kwargs["icon"]).read_bytes()[:4] == b"icns"
    # Made by this build, not committed.
    assert (str(licences), "resources") in made["Analysis"].kwargs["datas"]
    assert "PySide6_Essentials" in licences.read_text(encoding="utf-8")


def _run_hook(bundle: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    runpy.run_path(str(bundle.RUNTIME_HOOK))


def test_hook_with_search_path_hides_it_from_other_programs(
    bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYINSTALLER_RESET_ENVIRONMENT", "")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/bundle")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/users/own")
    _run_hook(bundle, monkeypatch, "status")
    assert os.environ["LD_LIBRARY_PATH"] == "/users/own"
    assert os.environ["PYINSTALLER_RESET_ENVIRONMENT"] == "1"
    monkeypatch.setenv("LD_LIBRARY_PATH", "/bundle")
    _run_hook(bundle, monkeypatch, "status")
    assert "LD_LIBRARY_PATH" not in os.environ


def test_hook_with_guard_runs_it_at_once(bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "main", lambda: 7)
    with pytest.raises(SystemExit) as end:
        _run_hook(bundle, monkeypatch, "guard")
    assert end.value.code == 7


@pytest.mark.parametrize(
    ("arguments", "blocked"),
    [
        (["engine", "--owned"], True),
        (["runner"], True),
        (["worker", "scan"], True),
        (["worker", "check-modules", "app.gui"], False),
        (["gui"], False),
        ([], False),
    ],
)
def test_hook_without_window_keeps_qt_out(
    bundle: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], blocked: bool
) -> None:
    monkeypatch.setitem(sys.modules, "PySide6", sys.modules["PySide6"])
    _run_hook(bundle, monkeypatch, *arguments)
    assert (sys.modules["PySide6"] is None) is blocked


def test_selftest_as_option_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "run", lambda: 5)
    assert program.main(["--selftest"]) == program.main(["selftest"]) == 5


def test_check_of_modules_names_those_that_fail_or_end_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "checked_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "with-hyphen.py").touch()
    (package / "ends.py").write_text("print('install me')\nraise SystemExit(1)")
    (package / "lacks.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    findings = check.check_modules(["checked_package", "absent_package"])
    assert findings.found == 5
    assert findings.failed.keys() == {
        "checked_package.ends",
        "checked_package.lacks",
        "absent_package",
    }
    assert findings.failed["checked_package.ends"] == "SystemExit: 1"
    # Standard output is for the answer.
    assert capfd.readouterr().out == ""
    for name in [name for name in sys.modules if name.startswith("checked_package")]:
        del sys.modules[name]
