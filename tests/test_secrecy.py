"""What people write to a model, and what it answers, is in no file of the app."""

from pathlib import Path

from engine_kit import new_home, running_engine

PROMPT = "xyzzy-plugh-9471"


def test_request_log_holds_no_text(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine:
        engine.start("demo")
        answer = engine.complete(messages=[{"role": "user", "content": PROMPT}], max_tokens=24)
        assert answer.status == 200
        text = answer.json["choices"][0]["message"]["content"]
        (record,) = engine.call("GET", "/api/requests").json
        assert record["completion_tokens"] == 24
    assert (home / "history.db").exists()
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert PROMPT.encode() not in content, path
            assert text.encode() not in content, path
