"""The OpenAPI description as a page to read, at /docs: made here, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}
body{color:#1b1b1b;background:#fff}
code{font:14px ui-monospace,monospace}h2{margin:2.5rem 0 .5rem;border-top:1px solid #bbb;padding-top:1.5rem;font-size:1.1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0}
tr+tr{border-top:1px solid #ddd}.method{color:#fff;background:#1d4f91;padding:.1rem .4rem;border-radius:.2rem}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#16181b}tr+tr{border-color:#333}a{color:#8ab8ff}}
"""


def docs_page(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: every operation with its parameters, bodies and answers."""
    info, body = description["info"], "".join(_operations(description))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])} HTTP API</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs.css">'
        f"<main><h1>{escape(info['title'])} HTTP API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p>For machines: <a href="/openapi.json">openapi.json</a></p>'
        f"{body}</main></html>"
    )


def _operations(description: dict[str, Any]) -> Iterator[str]:
    for path, item in description["paths"].items():
        for method, operation in item.items():
            yield (
                f'<h2 id="{escape(operation["operationId"])}"><span class="method">{method.upper()}</span> '
                f"<code>{escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>"
            )
            yield _table("Parameter", [_parameter(each) for each in operation.get("parameters", [])])
            content = operation.get("requestBody", {}).get("content", {})
            yield _table("Body", [(kind, _fields(each.get("schema", {}))) for kind, each in content.items()])
            yield _table("Answer", [_answer(*each) for each in operation["responses"].items()])


def _parameter(parameter: dict[str, Any]) -> tuple[str, str]:
    schema = parameter.get("schema", {})
    facts = [
        f"{label} {schema[key]}"
        for key, label in (
            ("default", "default"),
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("enum", "one of"),
        )
        if key in schema
    ]
    text = parameter.get("description") or schema.get("description") or ""
    return parameter["name"], " ".join([text, f"({', '.join(facts)})" if facts else ""]).strip()


def _fields(schema: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {each.get('description', '')}" for name, each in schema.get("properties", {}).items()
    )


def _answer(status: str, answer: dict[str, Any]) -> tuple[str, str]:
    kinds = ", ".join(answer.get("content", {}))
    return status, f"{answer['description']} {kinds}".strip()


def _table(head: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return f'<table><tr><th scope="col">{head}</th><th scope="col">Meaning</th></tr>{cells}</table>'
