"""Collects the sessions of the chapters and of the README beside the ordinary tests."""

from __future__ import annotations

from dlbook.publishing.book import ROOT
from tests.sessions import sybil

collect_ignore_glob = ["book/labs/*", "book/assets/*"]

pytest_collect_file = sybil(ROOT, "book/**/*.md", "book/*.md", "README.md").pytest()
