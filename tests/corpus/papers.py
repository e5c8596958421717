"""arXiv's papers as seeds: small, and with what LaTeX and bundles have."""

import gzip
import io
import tarfile

from llama_core.corpus.markup.latex.paper import Paper, read_paper

BODY = "\\section{Introduction}\n" + "The text of a paper goes on for some time. " * 6
PAPER = f"\\documentclass{{article}}\n\\title{{A Title}}\n\\begin{{document}}\n{BODY}\n\\end{{document}}\n"
WITHDRAWN = "%auto-ignore\nThis paper has been withdrawn by the author due to an error in \\emph{Lemma} 3.\n"


def read_one(source: str) -> Paper:
    """A paper of one file."""
    return read_paper({"main.tex": source}, "main.tex")


def tar(files: dict[str, str | bytes], *others: tarfile.TarInfo, format: int = tarfile.GNU_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format) as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return packed.getvalue()


def packed(data: str | bytes) -> bytes:
    return gzip.compress(data.encode() if isinstance(data, str) else data, mtime=0)


BUNDLE: dict[str, str | bytes] = {
    "main.tex": PAPER.replace("\\section", "\\input{sub/part}\\usepackage{own}\\section"),
    "sub/part.tex": "\\newcommand{\\x}{expanded} ",
    "own.sty": "\\newcommand{\\y}{}",
    "other.sty": "",
    "main.bbl": "\\begin{thebibliography}{1}\\bibitem{a} A.\\end{thebibliography}",
    "old/draft.tex": PAPER,
    "fig.pdf": b"%PDF-1.4\0",
    "anc/data.tex": "x",
    "._main.tex": b"\0\5",
    "00README": "nothing",
}

LATEX = r"""\documentclass[11pt]{article}
\usepackage[latin1]{inputenc}\usepackage[french]{babel}
\newcommand{\norm}[2][2]{\left\|#2\right\|_{#1}}
\def\pair<#1,#2>{(#1, #2)} \let\old\norm \newif\iflong \longtrue
\newenvironment{note}[1]{\par Note #1: }{\par}
\newtheorem{thm}{Theorem}[section] \DeclareMathOperator*{\argmax}{arg\,max}
\begin{document}
\title{T}\author{A}\maketitle \begin{abstract}Abs.\end{abstract}
\section{One}\label{s} See \ref{s}, \cite[p.~2]{k}, \citet{k}; $\norm{x} \leq \argmax y$ \pair<a,b>.%c
\footnote{A note.}
\iflong yes\else no\fi \iffalse x \fi \verb|a{b| \'e \"{\i} ``q'' -- \& \SI{3}{\meter}
\begin{align} a &= b \label{e}\\ c &= \text{if $d$} \end{align}
\begin{figure}[h]\includegraphics[width=1cm]{f}\caption{Cap \emph{c}}\end{figure}
\begin{table}\begin{tabular}{l|c}\hline a & \multicolumn{1}{c}{b} \\[2pt] c & d\end{tabular}\end{table}
\begin{thm}[N] S. \end{thm}\begin{proof} P. \end{proof} \begin{note}{1} n \end{note}
\begin{itemize}\item a \item[b] c\end{itemize} \[ x \] \begin{verbatim} %$ \end{verbatim}
\input{sub/part} \url{http://a.b/c%d} \hskip 2pt plus 1fil
\begin{thebibliography}{9}\bibitem[A et~al.(2001)A, B]{k} A.\end{thebibliography}
\appendix\section{Two} End.
\end{document}
"""
PLAIN = r"""\input amstex \documentstyle{amsppt} \magnification=1200
\topmatter\title T\endtitle\endtopmatter\document
\head 1. One\endhead \proclaim{Theorem} $x$ \endproclaim \footnote{$^1$}{n} \hbox to 2cm{b} \cite{1}
$$ a \eqno(1) $$ \vskip 1cm \beginsection Two

\Refs\ref\no 1\by A\endref\endRefs \bye
"""
HARVMAC = r"""\input harvmac
\lref\one{A. One, {\it J.} (1990).}\font\x=cmr9 scaled\magstep1 \catcode`\@=11
\Title{1}{\vbox{\centerline{T}}}
\Date{1/99}
\newsec{S} \refs{\one{--}\two}, \ref\two{B.}\foot{n} \one
\eqn\first{\eqalign{a &= b\cr c &= d}} by \first\ \eqna\pair $$c\eqno\pair a$$
\fig\f{c}\ifig\g{d}{\epsfbox{e}} \hrule height 1pt \setbox0=\hbox{x} \char92
\item{(a)} b \comment c \endcomment \appendix{A}{B} \listrefs
{\bf References}

[1] C. 1999.
\bye
"""


def of_section(body: str, preamble: str = "", options: str = "{article}") -> str:
    """The text of a paper that is a single section, without the section's heading."""
    head = f"\\documentclass{options}\n{preamble}\n\\begin{{document}}\n\\section{{S}}\n"
    return read_one(f"{head}{body}\n\\end{{document}}\n").text.removeprefix("S").lstrip("\n")
