"""The grammar of signatures: what is right describes itself, what is wrong does not compile and says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import toolchain


def compile_op(folder: Path, signature: str, parameters: str) -> str:
    """Compiles one op; returns what the compiler says, nothing when it likes it."""
    (folder / "op.cpp").write_text(f"""
#include "op.h"
namespace op {{
struct Tried {{
  static constexpr auto signature = "{signature}";
  static void compute({parameters}) {{}}
}};
constexpr auto tried = List<Tried>::describe_all(false);
}}
""")
    compiler = toolchain.compiler()
    assert compiler
    include = f"-I{native.PROJECT.directory}"
    run = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", include, str(folder / "op.cpp")],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stderr if run.returncode else ""


X, Y = "View<const float> x", "View<float> y"

WRONG = [
    ("f(x[H]) -> y[2(H)]", f"{X}, {Y}", "a bracket, comma or arrow is missing"),
    ("f(x[N]) -> y[M]", f"{X}, {Y}", "must stand alone in some input"),
    ("f(x[2N]) -> y[N]", f"{X}, {Y}", "must stand alone in some input"),
    ("f(x[N]) -> y[N], z[N]", f"{X}, {Y}", "fewer outputs than the signature"),
    ("f(x[N]) -> y[N]", f"{X}, {Y}, View<float> z", "more outputs than the signature"),
    ("f(x[N], a) -> y[N]", f"{X}, {Y}", "fewer arguments than the signature"),
    ("f(x[N]) -> y[N]", f"{X}, float a, {Y}", "more arguments than the signature"),
    ("f(x[N], a) -> y[N]", f"{X}, View<const float> a, {Y}", "is a number in compute"),
    ("f(x[N], a=0.5) -> y[N]", f"{X}, std::int64_t a, {Y}", "must be float in compute"),
    ("f(x[N], a) -> y[N*a]", f"{X}, float a, {Y}", "must be std::int64_t in compute"),
    ("f(x[N]) -> y[N]", "View<const char> x, View<float> y", "element type that is not supported"),
    ("f(x[N]) -> y[N]", f"const Parallel&, {X}, {Y}", "must be the last parameter"),
    ("f(x[N]) -> y[N]", f"{Y}, {X}", "arguments before its outputs"),
    ("f(x[N], x[N]) -> y[N]", f"{X}, {X}2, {Y}", "two arguments or outputs have the same name"),
    ("f(x[N]) -> x[N]", f"{X}, {Y}", "two arguments or outputs have the same name"),
    ("f(x[N] -> y[N]", f"{X}, {Y}", "a bracket, comma or arrow is missing"),
    ("f(x[N]) y[N]", f"{X}, {Y}", "a bracket, comma or arrow is missing"),
    ("f(x[N]) -> y", f"{X}, {Y}", "an output must have dimensions"),
    ("f(x[N]) -> y[N] and more", f"{X}, {Y}", "unexpected text after the last output"),
    ("f(x[N]) -> y[...]", f"{X}, {Y}", "an output has ... but no input has"),
    ("f(x[...,...]) -> y[...]", f"{X}, {Y}", "has ... twice"),
    ("f(x[N*a], a) -> y[N]", f"{X}, std::int64_t a, {Y}", "before it is declared"),
    ("f(x[N], a=big) -> y[N]", f"{X}, float a, {Y}", "must be a number"),
    ("f(x[A,B,C,D,E,F,G,H,I]) -> y[A]", f"{X}, {Y}", "more than 8 dimensions"),
    ("f(x[N]) -> y[99999999999]", f"{X}, {Y}", "too large"),
]

RIGHT = [
    ("f() -> y[3]", Y),
    ("f(x[]) -> y[]", f"{X}, {Y}"),
    ("f( x[ ..., N ] , k , a = -0.25 ) -> y[ ..., N - k ]", f"{X}, std::int64_t k, float a, {Y}, const Parallel&"),
    ("f(x[N,...,M]) -> y[M,...,(N+2*(M+1))/3]", f"{X}, {Y}"),
    ("f(x[N], a=2) -> y[N]", f"{X}, float a, {Y}"),
]


@pytest.mark.parametrize(("signature", "parameters", "message"), WRONG)
def test_a_wrong_signature_does_not_compile(tmp_path: Path, signature: str, parameters: str, message: str) -> None:
    assert message in compile_op(tmp_path, signature, parameters)


@pytest.mark.parametrize(("signature", "parameters"), RIGHT)
def test_a_right_signature_compiles(tmp_path: Path, signature: str, parameters: str) -> None:
    assert compile_op(tmp_path, signature, parameters) == ""
