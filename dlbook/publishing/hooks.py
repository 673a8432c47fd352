"""What MkDocs is told beyond Markdown: assets from npm, labs as pages, search without a server.

Nothing is written below ``book/``: a file written there while the site is being served would start
the next build, without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dlbook.publishing import labs
from dlbook.publishing.errors import BookError

NPM = Path(__file__).resolve().parents[2] / "build" / "npm" / "node_modules"
FAMILIES = {
    "source-serif-4": (
        "latin-wght-normal",
        "latin-wght-italic",
        "latin-ext-wght-normal",
        "greek-wght-normal",
    ),
    "source-sans-3": ("latin-wght-normal", "latin-wght-italic", "greek-wght-normal"),
    "source-code-pro": ("latin-wght-normal", "greek-wght-normal"),
}
LAB = re.compile(r"labs/\w+\.py")
OLD_FONTS = re.compile(r',url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let mkdocs-jupyter run the labs as the book wants them."""
    config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(labs.prepare())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the assets that npm installed, and beside each lab's script the same as a notebook."""
    for target, source in npm_assets():
        files.append(File.generated(config, target, abs_src_path=str(source)))
    style = npm_file("katex/dist/katex.min.css").read_text(encoding="utf-8")
    files.append(File.generated(config, "assets/katex/katex.css", content=OLD_FONTS.sub("", style)))
    for script in [file for file in files if LAB.fullmatch(file.src_uri)]:
        notebook = labs.notebook(Path(str(script.abs_src_path)).read_text(encoding="utf-8"))
        name = script.src_uri.replace(".py", ".ipynb")
        files.append(File.generated(config, name, content=notebook))
    return files


def npm_assets() -> Iterator[tuple[str, Path]]:
    """Yield each file of the site that comes from npm, with the file that it is a copy of."""
    yield "assets/iframe-worker.js", npm_file("iframe-worker/shim/index.js")
    for font in sorted(npm_file("katex/dist/fonts").glob("*.woff2")):
        yield f"assets/katex/fonts/{font.name}", font
    for family, subsets in FAMILIES.items():
        for subset in subsets:
            name = f"{family}-{subset}.woff2"
            yield f"assets/fonts/{name}", npm_file(f"@fontsource-variable/{family}/files/{name}")
        yield f"assets/licenses/{family}.txt", npm_file(f"@fontsource-variable/{family}/LICENSE")
    for package in ("katex", "iframe-worker"):
        yield f"assets/licenses/{package}.txt", npm_file(f"{package}/LICENSE")


def npm_file(name: str) -> Path:
    """Return the path of ``name`` among the installed packages."""
    path = NPM / name
    if not path.exists():
        raise PluginError(
            f"build/npm holds no {name}: install the site's assets by `python3 run.py site`"
        )
    return path


def lab(ran: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page of a lab, from the notebook that mkdocs-jupyter ran."""
    try:
        page.markdown = labs.page(labs.read(Path(str(page.file.abs_src_path)), ran))
    except BookError as error:
        raise PluginError(str(error)) from error
    Page.render(page, config, files)
    return page.content or ""


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make a page of a lab; on every page, name the part of the book and say how formulas break.

    The style sheet keeps a formula on one line with the comma behind it; a line may end only
    between the pieces that KaTeX made for this, such as behind an equals sign.
    """
    if LAB.fullmatch(page.file.src_uri):
        html = lab(html, page, config, files)
    html = html.replace('</span><span class="katex-base">', '</span><wbr><span class="katex-base">')
    if page.parent is None:
        return html
    part = f'<p class="part" data-search-exclude>{page.parent.title}</p>\n'
    return html.replace("<h1", part + "<h1", 1)


@event_priority(-100)  # after the search plugin has written its index
def on_post_build(config: MkDocsConfig) -> None:
    """Write the search index as a script too: pages opened from disk may load scripts only."""
    index = Path(config.site_dir, "search", "search_index.json")
    script = f"var __index = {index.read_text(encoding='utf-8')}"
    index.with_suffix(".js").write_text(script, encoding="utf-8")
