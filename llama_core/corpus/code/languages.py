"""Which language a file of source code is in, by its name, and how that language writes comments."""

import posixpath
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comments:
    """How a language writes comments: what begins a line comment, and the two ends of a block comment."""

    line: tuple[str, ...] = ()
    block: tuple[tuple[str, str], ...] = ()


HASH = Comments(("#",))
PYTHON = Comments(("#",), (('"""', '"""'), ("'''", "'''")))
_C = Comments(("//",), (("/*", "*/"),))
_PHP = Comments(("//", "#"), (("/*", "*/"), ("<!--", "-->")))
_CSS = Comments((), (("/*", "*/"),))
_DASHES = Comments(("--",), (("/*", "*/"),))
_LUA = Comments(("--",), (("--[[", "]]"), ("--[=[", "]=]")))
_HASKELL = Comments(("--",), (("{-", "-}"),))
_LISP = Comments((";",), (("#|", "|#"),))
_ASSEMBLY = Comments((";", "#", "@", "//"), (("/*", "*/"),))
_PERCENT = Comments(("%",), (("%{", "%}"),))
_ML = Comments((), (("(*", "*)"),))
_PASCAL = Comments(("//",), (("{", "}"), ("(*", "*)")))
_FSHARP = Comments(("//",), (("(*", "*)"),))
_MARKUP = Comments((), (("<!--", "-->"),))
_TEMPLATE = Comments((), (("<!--", "-->"), ("/*", "*/")))
_RST = Comments((".. ",))
_FORTRAN = Comments(("!", "C ", "c ", "*"))
_BASIC = Comments(("'", "REM ", "Rem "))
_BATCH = Comments(("REM ", "rem ", "@REM ", "@rem ", "::"))
_POWERSHELL = Comments(("#",), (("<#", "#>"),))
_RUBY = Comments(("#",), (("=begin", "=end"),))
_JULIA = Comments(("#",), (("#=", "=#"),))
_COBOL = Comments(("*", "      *"))
_M = Comments(("//", "%"), (("/*", "*/"), ("%{", "%}")))  # Objective-C and MATLAB share `.m`

_BY_ENDING: dict[str, tuple[str, Comments]] = {
    ending: (language, comments)
    for language, comments, endings in [
        ("ada", _DASHES, ".adb .ads"),
        ("assembly", _ASSEMBLY, ".asm .s .nasm"),
        ("batch", _BATCH, ".bat .cmd"),
        ("c", _C, ".c .h"),
        ("c#", _C, ".cs"),
        ("c++", _C, ".cpp .hpp .cc .hh .cxx .hxx .c++ .h++ .ipp .tpp .inl .cu .cuh"),
        ("clojure", _LISP, ".clj .cljs .cljc"),
        ("cmake", HASH, ".cmake"),
        ("cobol", _COBOL, ".cob .cbl"),
        ("coffeescript", Comments(("#",), (("###", "###"),)), ".coffee"),
        ("common lisp", _LISP, ".lisp .lsp .cl"),
        ("crystal", HASH, ".cr"),
        ("css", _C, ".css .scss .sass .less"),
        ("d", Comments(("//",), (("/*", "*/"), ("/+", "+/"))), ".d"),
        ("dart", _C, ".dart"),
        ("dockerfile", HASH, ".dockerfile"),
        ("elixir", HASH, ".ex .exs"),
        ("elm", _HASKELL, ".elm"),
        ("emacs lisp", _LISP, ".el"),
        ("erlang", _PERCENT, ".erl .hrl"),
        ("f#", _FSHARP, ".fs .fsi .fsx"),
        ("fortran", _FORTRAN, ".f .f77 .f90 .f95 .f03 .f08 .for .fpp"),
        ("glsl", _C, ".glsl .vert .frag .hlsl .metal .wgsl"),
        ("go", _C, ".go"),
        ("graphql", HASH, ".graphql"),
        ("groovy", _C, ".groovy .gradle"),
        ("haskell", _HASKELL, ".hs .lhs"),
        ("html", _TEMPLATE, ".html .htm .xhtml"),
        ("java", _C, ".java"),
        ("javascript", _C, ".js .jsx .mjs .cjs"),
        ("julia", _JULIA, ".jl"),
        ("kotlin", _C, ".kt .kts"),
        ("lua", _LUA, ".lua"),
        ("makefile", HASH, ".mk .mak"),
        ("markdown", _MARKUP, ".md .markdown"),
        ("matlab or objective-c", _M, ".m .mm"),
        ("nim", HASH, ".nim"),
        ("nix", Comments(("#",), (("/*", "*/"),)), ".nix"),
        ("ocaml", _ML, ".ml .mli"),
        ("pascal", _PASCAL, ".pas .pp .dpr"),
        ("perl", HASH, ".pl .pm .pod .perl .t"),
        ("php", _PHP, ".php .php3 .php4 .php5 .phps .phpt"),
        ("powershell", _POWERSHELL, ".ps1 .psd1 .psm1"),
        ("prolog", _PERCENT, ".pro .prolog"),
        ("protobuf", _C, ".proto .thrift"),
        ("python", PYTHON, ".py .pyx .pxd .pyi"),
        ("r", HASH, ".r"),
        ("racket", _LISP, ".rkt"),
        ("restructuredtext", _RST, ".rst"),
        ("ruby", _RUBY, ".rb .rake"),
        ("rust", _C, ".rs"),
        ("scala", _C, ".scala .sbt"),
        ("scheme", _LISP, ".scm .ss"),
        ("shell", HASH, ".sh .bash .zsh .command .ksh .fish"),
        ("smali", HASH, ".smali"),
        ("solidity", _C, ".sol"),
        ("sql", _DASHES, ".sql"),
        ("swift", _C, ".swift"),
        ("tcl", HASH, ".tcl"),
        ("terraform", Comments(("#", "//"), (("/*", "*/"),)), ".tf"),
        ("tex", _PERCENT, ".tex .sty .cls .bib"),
        ("typescript", _C, ".ts .tsx .mts .cts"),
        ("verilog", _C, ".v .sv .svh"),
        ("vhdl", _DASHES, ".vhd .vhdl"),
        ("vim script", Comments(('"',)), ".vim"),
        ("visual basic", _BASIC, ".vb .vbs .bas"),
        ("vue", _TEMPLATE, ".vue .svelte"),
        ("xml", _MARKUP, ".xml .xsl .xslt"),
        ("zig", _C, ".zig"),
    ]
    for ending in endings.split()
}
_BY_NAME = {
    "dockerfile": ("dockerfile", HASH),
    "makefile": ("makefile", HASH),
    "gnumakefile": ("makefile", HASH),
    "cmakelists.txt": ("cmake", HASH),
    "rakefile": ("ruby", _RUBY),
    "gemfile": ("ruby", _RUBY),
    "jenkinsfile": ("groovy", _C),
    "build.bazel": ("python", PYTHON),
}

# What marks a file as source code: endings, and whole names in lower case.
NAMES = [*_BY_ENDING, *_BY_NAME]


def language_of(path: str) -> tuple[str, Comments] | None:
    """Return a file's language and how that writes comments; None if the name is not that of source code."""
    name = posixpath.basename(path).lower()
    return _BY_NAME.get(name) or _BY_ENDING.get(posixpath.splitext(name)[1])
