"""The C++ compiler as inductor calls it, so that the library in a package comes out small."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
from pathlib import Path

from deploypipe import cache

# Linking is told from compiling, since a compiler that is given something for the linker would link a header.
_SCRIPT = """#!/bin/sh
# Made by deploypipe: leaves out what a package does not need of the library in it.
here=${{0%/*}}
case " $* " in
  *" -shared "*) set -- "$@" -Wl,-s,--gc-sections "-Wl,--version-script=$here/exports.map" ;;
esac
exec {compiler} "-I$here/include" -ffunction-sections -fdata-sections -fvisibility-inlines-hidden "$@"
"""
# The rest of what the linker would export are instances of the standard library's templates.
_EXPORTS = "{ global: AOTInductor*; local: *; };\n"
# Headers of torch read the name of a device, `cpu` or `cuda:1`, with one regular expression; the templates of the
# standard header make that a third of the code in a package.
_REGEX = """// Made by deploypipe in the place of the standard header: names of devices are all that is matched.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace std {
struct regex {
  explicit regex(const char*) {}
};
struct ssub_match {
  string text;
  bool matched = false;
  const string& str() const { return text; }
};
struct smatch {
  ssub_match parts[4];
  const ssub_match& operator[](size_t part) const { return parts[part]; }
};
inline bool regex_match(const string& device, smatch& found, const regex&) {
  const auto colon = device.find(':');
  found.parts[1] = {device.substr(0, colon), true};
  if (colon != string::npos) found.parts[3] = {device.substr(colon + 1), true};
  return true;  // The caller refuses a device that it does not know.
}
}  // namespace std
"""


def options() -> dict[str, object]:
    """Returns settings of inductor: what surrounds the kernels is optimized for size, the kernels are not."""
    small: dict[str, object] = {
        "aot_inductor.compile_wrapper_opt_level": "Os",
        "aot_inductor.enable_line_tables": False,
        "aot_inductor.enable_frame_pointer": False,
        # They save a third of a compilation, and take as long as four.
        "aot_inductor.precompile_headers": False,
    }
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if platform.system() == "Linux" and compiler and _is_gcc(compiler):
        small["cpp.cxx"] = (str(_written(compiler)),)
    return small


def _is_gcc(compiler: str) -> bool:
    name = Path(compiler).name
    return "g++" in name and "clang" not in name


def _written(compiler: str) -> Path:
    """Writes the script that stands for the compiler; its name tells inductor which one it is."""
    files = {
        "exports.map": _EXPORTS,
        "include/regex": _REGEX,
        Path(compiler).name: _SCRIPT.format(compiler=shlex.quote(compiler)),
    }
    # Inductor keeps what it compiles by the command that made it.
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:12]
    folder = cache.root() / "inductor" / f"compiler-{digest}"
    for name, content in files.items():
        _write(folder / name, content)
    return folder / Path(compiler).name


def _write(path: Path, content: str) -> None:
    """Writes a file unless it is there, whole at once, since others may be about to use it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(content)
    new.chmod(0o755)
    new.replace(path)
