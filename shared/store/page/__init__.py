"""What the page reads: one file a view, its statements in `sql/page/<view>.sql`; it cannot write."""

from shared.store.page.statements import Statement, load_statements, page_statements, reading, view_sql

__all__ = ["Statement", "load_statements", "page_statements", "reading", "view_sql"]
