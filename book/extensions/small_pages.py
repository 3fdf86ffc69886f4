"""Sphinx extension: pages that load little, and say of when they are.

MathJax, Font Awesome and Thebe come whole with their packages: 25 MB, of
which a page uses a tenth. What no page loads is left out.

    book_repository  the project's address, for links to edit a page, to report
                     a mistake, and to open a notebook in Binder's JupyterLab
                     or in Colab; none where it is empty

A link to JupyterLab on the reader's own machine is on every notebook's page.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from docutils import nodes

# Of MathJax: the program, its fonts, and the rarer macros it asks for.
MATHJAX = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")
ICON = re.compile(
    r'("[\w-]+"|\w+):\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",'
    r'(?:"[^"]*"|\[[^\]]*\])\],?'
)
USED = re.compile(r"\bfa-([a-z0-9-]+)")
FONT_AWESOME = "_static/scripts/fontawesome.js"
COMMITS = ("git", "log", "--format=commit %h %cs", "--name-only")
CARD = "_static/card.png"
LAUNCHED = {  # where notebooks of the repository can be opened
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
    "notebook_interface": "jupyterlab",
}
LAB = "http://localhost:8888/lab/tree/"  # where `make lab` serves the book


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx; Thebe, which runs code on a server, is let go."""
    app.add_config_value("book_repository", "", "html")
    app.add_config_value("book_description", "", "html")
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                listeners.remove(listener)
    app.connect("config-inited", set_links)
    app.connect("doctree-resolved", load_late)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", open_in_lab, priority=502)
    app.connect("build-finished", trim, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_links(app: Any, config: Any) -> None:
    """Show the links to the repository if the book has one."""
    if config.book_repository:
        config.html_theme_options |= {
            "repository_url": config.book_repository,
            "use_edit_page_button": True,
            "use_issues_button": True,
            "use_source_button": True,
            "launch_buttons": LAUNCHED,
        }


def load_late(app: Any, doctree: nodes.document, docname: str) -> None:
    """Let images load when they are about to be seen, all but the first."""
    if app.builder.name != "html":
        return  # what is printed is never seen
    for image in list(doctree.findall(nodes.image))[1:]:
        image["loading"] = "lazy"


def describe(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give a page what search engines and messengers show, and its date."""
    scripts = context["script_files"]
    context["script_files"] = [s for s in scripts if "thebe" not in str(s)]
    styles = context["css_files"]
    context["css_files"] = [s for s in styles if "thebe" not in str(s)]
    up = "../" * page.count("/")
    tags = {
        "og:title": re.sub(r"<[^>]*>", "", context.get("title", "")),
        "og:type": "article",
        "og:description": app.config.book_description,
        "og:image": (app.config.html_baseurl or up) + CARD,
        "twitter:card": "summary_large_image",
    }
    lines = [
        f'<meta property="{name}" content="{text}" />'
        for name, text in tags.items()
    ]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])
    context["last_updated"] = state(app, page)


def open_in_lab(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Let a notebook's page be opened in the JupyterLab of `make lab`."""
    if page not in app.env.all_docs or not is_notebook(app, page):
        return
    button = {
        "type": "link",
        "text": "JupyterLab",
        "tooltip": "Open in the JupyterLab that `make lab` has started",
        "icon": "fas fa-flask",
        "url": f"{LAB}{page.removeprefix('book/')}.ipynb",
    }
    groups = context["header_buttons"]
    known = [g for g in groups if g.get("label") == "launch-buttons"]
    if known:
        known[0]["buttons"].append(button)
    else:
        groups.insert(0, {**button, "text": None, "label": "open-in-lab"})


def is_notebook(app: Any, page: str) -> bool:
    """Return whether a page is made from a notebook."""
    return Path(app.env.doc2path(page)).suffix == ".ipynb"


def state(app: Any, page: str) -> str | None:
    """Return when a page's source was last changed, by which commit."""
    if page not in app.env.all_docs:
        return None
    source = Path(app.env.doc2path(page))
    known = commits(app).get(f"{page}{source.suffix}")
    if known and is_notebook(app, page):
        known += time_to_run(source)
    return known


def time_to_run(notebook: Path) -> str:
    """Return how long a notebook's last run took, and on what, if it says."""
    metadata = json.loads(notebook.read_text("utf-8"))["metadata"]
    if not metadata.get("minutes"):
        return ""
    machine = metadata.get("machine")
    ran = f"; its cells run in {metadata['minutes']} minutes"
    return f"{ran} on {machine}" if machine else ran


def commits(app: Any) -> dict[str, str]:
    """Return date and commit of every file; none where there is no Git."""
    if not hasattr(app, "book_commits"):
        app.book_commits = read_commits(Path(app.srcdir))
    return app.book_commits


def read_commits(folder: Path) -> dict[str, str]:
    """Read the history that `folder` is part of, newest first."""
    found: dict[str, str] = {}
    if not shutil.which("git"):
        return found
    done = subprocess.run(
        COMMITS, cwd=folder, capture_output=True, text=True, check=False
    )
    known = ""
    for line in done.stdout.splitlines():
        if line.startswith("commit "):
            _, commit, day = line.split()
            known = f"{day}, commit {commit}"
        elif line:
            found.setdefault(line, known)
    return found


def trim(app: Any, error: Exception | None) -> None:
    """Remove what no page loads."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    keep_only(out / "_static" / "mathjax", MATHJAX)
    for path in (out / "_sources").rglob("*.ipynb"):
        path.write_text(without_pictures(path.read_text("utf-8")), "utf-8")
    for path in (out / "_static").rglob("*.map"):
        path.unlink()
    texts = [*out.rglob("*.html"), *(out / "_static").glob("**/*.js")]
    icons = out / FONT_AWESOME
    used = {
        name
        for path in texts
        if path != icons
        for name in USED.findall(path.read_text("utf-8"))
    }
    if icons.is_file():
        icons.write_text(only(icons.read_text("utf-8"), used), "utf-8")


def without_pictures(notebook: str) -> str:
    """Return a notebook to download: its pictures come when it is run."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            for kind in list(output.get("data", {})):
                if kind.startswith("image/") or kind == "text/html":
                    del output["data"][kind]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def keep_only(folder: Path, names: tuple[str, ...]) -> None:
    """Remove a folder's files but those named, or in folders named."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        kept = any(f"{name}/".startswith(f"{kept}/") for kept in names)
        if path.is_file() and not kept:
            path.unlink()


def only(script: str, used: set[str]) -> str:
    """Return Font Awesome's script with the icons that are used."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if match[1].strip('"') in used else ""

    return ICON.sub(kept, script)
