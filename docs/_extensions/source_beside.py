"""Lets ``literalinclude`` with ``:pyobject:`` show the code alone: the docstring stands in the reference."""

import ast
import re
import textwrap

from docutils import nodes
from sphinx.directives.code import LiteralInclude


def without_docstrings(code):
    """Return Python source without its docstrings and marks for linters; what would be empty keeps its own."""
    lines = re.sub(r"  # (type: ignore|noqa|fmt: skip).*", "", code).splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) and len(node.body) > 1:
            first, following = node.body[:2]
            gap = min([following.lineno, *(decorator.lineno for decorator in getattr(following, "decorator_list", []))])
            for i in range(first.lineno - 1, gap - 1):
                if not lines[i].lstrip().startswith("#") or i < first.end_lineno:
                    lines[i] = None
    return "\n".join(line for line in lines if line is not None)


class SourceBeside(LiteralInclude):
    """As Sphinx's own; a Python object comes without indentation and docstrings, under the name of its file."""

    def run(self):
        if "pyobject" not in self.options:
            return super().run()
        self.options.pop("dedent", None)
        path = self.arguments[0].lstrip("./")
        self.options.update({"language": "python", "caption": f"{path}: {self.options['pyobject']}"})
        made = super().run()
        for made_node in made:
            for block in made_node.findall(nodes.literal_block):
                code = without_docstrings(textwrap.dedent(block.rawsource))
                block.rawsource = code
                block[:] = [nodes.Text(code)]
        return made


def setup(app):
    """Put it in the place of Sphinx's own."""
    app.add_directive("literalinclude", SourceBeside, override=True)
    return {"parallel_read_safe": True}
