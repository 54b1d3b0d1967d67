"""How the site is built: Sphinx with Markdown, no network, no theme of another package.

The source is the repository's root, so that the links between documents are the site's, too.
"""

from __future__ import annotations

from typing import Any

project = "edgetransfer"
author = "the edgetransfer project"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
# The contents, by the title of a group; what stands outside of docs/ has a title here.
FIRST = {"README": "First steps", "examples/README": "Examples"}
USING = [
    *("data", "sources", "train", "extract", "cost", "track", "report", "backbones"),
    *("sparsify", "pretrain", "finetune", "stream", "teach", "serve", "export"),
    *("benchmark", "compare", "analyse", "engines", "runs", "python", "commands", "json"),
]
BUILDING = {
    "ARCHITECTURE": "Architecture",
    "CONTRIBUTING": "Contributing",
    "edgetransfer/native/src/sparse/README": "The sparse engine's native part",
    "benchmarks/README": "Benchmarks",
    "benchmarks/study/README": "A study of the paper",
    "CHANGELOG": "Changes",
}
MORE = {**FIRST, **BUILDING}
include_patterns = ["docs/*.md", *(f"{page}.md" for page in MORE)]
exclude_patterns = [".venv*", ".git", "docs/_build", "tests", "dist"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_title = "edgetransfer"
html_theme_options = {
    "description": "Sparse image backbones adapted to your own photos, on a laptop CPU",
    "page_width": "70rem",
    "sidebar_width": "15rem",
    "show_powered_by": False,
}
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
highlight_language = "text"  # a block without a language is what is typed into a shell


def _with_contents(_app: Any, name: str, text: list[str]) -> None:
    """The index gets its tables of contents here: elsewhere they would be shown as code."""
    if name == root_doc:
        text[0] += _contents("Begin", [f"{title} </{page}>" for page, title in FIRST.items()])
        text[0] += _contents("Use", USING)
        text[0] += _contents("Build", [f"{title} </{page}>" for page, title in BUILDING.items()])


def _contents(caption: str, entries: list[str]) -> str:
    return "\n".join(
        ("\n```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", "")
    )


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _with_contents)
