"""Ready pieces of code and settings with which other programs use a server."""

import json
import shlex

import msgspec

HIDDEN_KEY = "\N{BULLET}" * 12
"""Stands for the key in what is shown."""
NO_KEY = "not-needed"
"""Some programs refuse to start without a key, even where none is asked for."""


class Target(msgspec.Struct, frozen=True):
    """What a program must know to use a server."""

    base_url: str
    """With `/v1`."""
    model: str
    key: str | None = None
    """None where no key is asked for."""


class Snippet(msgspec.Struct, frozen=True):
    """One program and how it is set up."""

    id: str
    name: str
    tested: str
    """With which version it was run against this app; empty where it was not."""
    note: str
    text: str


def snippets(target: Target) -> list[Snippet]:
    """Return what there is for each program, those that were tested first."""
    return [
        Snippet("curl", "curl", "curl 7.88", "In a terminal.", _curl(target)),
        Snippet("python", "Python (OpenAI)", "openai 3.54", "Needs: pip install openai",
                _python(target)),
        Snippet("javascript", "JavaScript (OpenAI)", "openai 6.49 on Node 20",
                "Needs: npm install openai. Save it as chat.mjs, then run: node chat.mjs",
                _javascript(target)),
        Snippet("aider", "Aider", "Aider 0.86", "In the folder of your project.", _aider(target)),
        Snippet("open-webui", "Open WebUI", "",
                "In a container this computer is host.docker.internal, not 127.0.0.1.",
                _open_webui(target)),
        Snippet("continue", "Continue (VS Code)", "", "In ~/.continue/config.yaml",
                _continue(target)),
        Snippet("cline", "Cline (VS Code)", "", "In the settings of Cline, under API Provider.",
                _cline(target)),
    ]  # fmt: skip


def _curl(target: Target) -> str:
    body = f"""\
{{
  "model": {_quoted(target.model)},
  "messages": [{{"role": "user", "content": "Say hello"}}],
  "max_tokens": 200
}}"""
    lines = [f"curl {shlex.quote(target.base_url + '/chat/completions')}"]
    lines.append("  -H 'Content-Type: application/json'")
    if target.key is not None:
        lines.append(f"  -H {shlex.quote(f'Authorization: Bearer {target.key}')}")
    lines.append(f"  -d {shlex.quote(body)}")
    return " \\\n".join(lines)


def _python(target: Target) -> str:
    return f"""\
from openai import OpenAI

client = OpenAI(base_url={_quoted(target.base_url)}, api_key={_quoted(_key(target))})
stream = client.chat.completions.create(
    model={_quoted(target.model)},
    messages=[{{"role": "user", "content": "Say hello"}}],
    max_tokens=200,
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()"""


def _javascript(target: Target) -> str:
    return f"""\
import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: {_quoted(target.base_url)},
  apiKey: {_quoted(_key(target))},
}});
const stream = await client.chat.completions.create({{
  model: {_quoted(target.model)},
  messages: [{{ role: "user", content: "Say hello" }}],
  max_tokens: 200,
  stream: true,
}});
for await (const chunk of stream) {{
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}}
console.log();"""


def _aider(target: Target) -> str:
    return "\n".join(
        (
            f"export OPENAI_API_BASE={shlex.quote(target.base_url)}",
            f"export OPENAI_API_KEY={shlex.quote(_key(target))}",
            f"aider --model {shlex.quote(f'openai/{target.model}')}",
        )
    )


def _open_webui(target: Target) -> str:
    return "\n".join(
        (
            f"export OPENAI_API_BASE_URL={shlex.quote(target.base_url)}",
            f"export OPENAI_API_KEY={shlex.quote(_key(target))}",
            "open-webui serve",
        )
    )


def _continue(target: Target) -> str:
    # YAML takes every JSON string as it is.
    return f"""\
models:
  - name: {_quoted(target.model)}
    provider: openai
    model: {_quoted(target.model)}
    apiBase: {_quoted(target.base_url)}
    apiKey: {_quoted(_key(target))}
    roles:
      - chat
      - edit"""


def _cline(target: Target) -> str:
    return "\n".join(
        (
            "API Provider:  OpenAI Compatible",
            f"Base URL:      {target.base_url}",
            f"API Key:       {_key(target)}",
            f"Model ID:      {target.model}",
        )
    )


def _key(target: Target) -> str:
    return target.key or NO_KEY


def _quoted(text: str) -> str:
    """Return text as a string of Python, JavaScript and YAML alike."""
    return json.dumps(text, ensure_ascii=False)
