"""Packages of algorithms whose commands are only words: TeX that defines them, read where they are loaded."""

_CLRSCODE = r"""
\def\li{\newline}\def\zi{\newline}\def\Do{}\def\Then{}\def\End{}\def\Procname#1{\newline #1}
\def\For{for }\def\While{while }\def\If{if }\def\Else{else }\def\ElseIf{else if }\def\ElseNoIf{else }
\def\Repeat{repeat }\def\Until{until }\def\Return{return }\def\To{ to }\def\Downto{ downto }\def\By{ by }
\def\Spawn{spawn }\def\Sync{sync}\def\Parfor{parallel for }\def\Comment{// }\def\CommentSymbol{//}
\def\Error{error }\def\Goto{goto }\def\Indentmore{}\def\Indentless{}\def\liflushleft{\newline}
\newcommand\id[1]{\ensuremath{\mathit{#1}}}\newcommand\proc[1]{\ensuremath{\textsc{#1}}}
\newcommand\const[1]{\ensuremath{\textsc{#1}}}\newcommand\func[1]{\ensuremath{\mathrm{#1}}}
\newcommand\kw[1]{#1}\newcommand\isequal{\mathrel{==}}\newcommand\subarr{\mathrel{..}}\newcommand\twodots{..}
\newcommand\attrib[2]{\ensuremath{#1.\mathit{#2}}}
\newcommand\attribii[3]{\ensuremath{#1.\mathit{#2}.\mathit{#3}}}
\newcommand\attribe[3]{\ensuremath{(#1,#2).\mathit{#3}}}
"""
_PROGRAM = r"""
\def\BEGIN{begin }\def\END{\newline end }\def\IF{\newline if }\def\THEN{then }\def\ELSE{\newline else }
\def\ELSIF{\newline elsif }\def\FI{fi }\def\DO{do }\def\OD{od }\def\FOR{\newline for }\def\TO{to }
\def\STEP{step }\def\WHILE{\newline while }\def\REPEAT{\newline repeat }\def\UNTIL{until }
\def\WHERE{\newline where }
\def\PROC{\newline proc }\def\ENDPROC{end }\def\FUNCT{\newline funct }\def\ENDFUNCT{end }\def\BODY{body }
\def\EXIT{exit }\def\CASE{case }\def\OF{of }\def\ESAC{esac }\def\GETS{\ensuremath{\gets}}
\def\NOT{not }\def\AND{and }\def\OR{or }\def\TRUE{true }\def\FALSE{false }\def\GLOBAL#1{\newline global #1}
\def\RETURN#1{\newline return #1}\def\CALL#1#2{#1(#2)}\def\COMMENT#1{\newline #1}
\def\OUTPUT#1{\newline output #1}
\def\MAIN{\newline main }\def\ENDMAIN{\newline end }\def\rcomment#1{\newline #1}\def\EACH{each }\def\IN{in }
\def\PROCEDURE#1#2{\newline procedure #1(#2)}\def\ENDPROCEDURE{\newline end }\def\FOREACH{\newline for each }
"""
_ALGORITHM2E = r"""
\SetKwInput{Donnees}{Données}\SetKwInput{Res}{Résultat}\SetKwInput{Entree}{Entrées}\SetKwInput{Sortie}{Sorties}
\SetKw{KwA}{à}\SetKw{Retour}{retourner}\SetKwBlock{Deb}{début}{fin}\SetKwRepeat{Repeter}{répéter}{jusqu'à}
\SetKwIF{Si}{SinonSi}{Sinon}{si}{alors}{sinon si}{sinon}{fin}\SetKwFor{Pour}{pour}{faire}{fin}
\SetKwFor{PourCh}{pour chaque}{faire}{fin}\SetKwFor{PourTous}{pour tous}{faire}{fin}
\SetKwFor{Tq}{tant que}{faire}{fin}\SetKwSwitch{Suivant}{Cas}{Autre}{suivant}{faire}{cas où}{autre cas}{}{}
"""
# The TeX that is read for each package, or for a package in papers of a language.
PRELUDES = {
    "algorithm2e fr": _ALGORITHM2E,
    "clrscode": _CLRSCODE,
    "clrscode3e": _CLRSCODE,
    "clrs": _CLRSCODE,
    "program": _PROGRAM,
    "pseudocode": _PROGRAM,
}
