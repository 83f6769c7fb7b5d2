"""Whether receipts can be trusted: one build against itself, and against a kernel that was slowed down on purpose.

Three profiles are taken: of a bundle of lltm, of the same once more, and of a copy whose op library does its work and
then waits for a share of the time that it took. The first two must not differ, and the third must be found slower.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from deploypipe import native, runtimes
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.devices import config as devices
from deploypipe.native.sources import PROJECT, OpSource
from deploypipe.profile import run
from deploypipe.profile.receipt import Protocol, Report
from deploypipe.report import comparison
from deploypipe.report.comparison import Comparison

# The one op of the library that is slowed down: what lltm is exported with.
_OPS = """\
#include <chrono>

#include "lltm.h"

namespace op {{

struct Slowed {{
  static constexpr auto signature = LltmPacked::signature;
  static void compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                      View<float> output, View<float> h, View<float> c, const Parallel& parallel) {{
    const auto start = std::chrono::steady_clock::now();
    LltmPacked::compute(input, h0, c0, weight, output, h, c, parallel);
    const auto end = std::chrono::steady_clock::now() + (std::chrono::steady_clock::now() - start) * {percent} / 100;
    while (std::chrono::steady_clock::now() < end) {{
    }}
  }}
}};

using Ops = List<Slowed>;

}}  // namespace op
"""


@dataclass(frozen=True)
class Trust:
    """What the profiles said.

    Attributes:
        itself: The second profile against the first.
        slowed: The third against the first.
    """

    itself: Comparison
    slowed: Comparison

    @property
    def passed(self) -> bool:
        """A build is like itself, and slower where it was slowed down."""
        latency = [row.status for row in self.slowed.rows if row.figure == "latency"]
        return not self.itself.of("regression") and not self.itself.of("improvement") and latency == ["regression"]


def measure(bundle: Path, percent: int, margin: float, protocol: Protocol, folder: Path) -> Trust:
    """Takes the three profiles.

    Args:
        bundle: Of lltm, with an op library.
        percent: By which the kernel is slowed down.
        margin: Of the comparison, a share.
        protocol: Of the profiles.
        folder: Empty; receives the reports.
    """
    slow = slowed(bundle, percent, folder)
    first, second, third = (
        _profile(each, protocol, folder / name)
        for name, each in (("first", bundle), ("second", bundle), ("third", slow))
    )
    return Trust(comparison.compare(first, second, margin), comparison.compare(first, third, margin))


def slowed(bundle: Path, percent: int, folder: Path) -> Path:
    """Makes a copy of a bundle whose kernel takes so much longer."""
    copy = folder / "slowed" / bundle.name
    shutil.copytree(bundle, copy)
    source = folder / "source"
    shutil.copytree(PROJECT.kernels, source)
    (source / "ops.h").write_text(_OPS.format(percent=percent))
    manifest = manifests.read(copy)
    (name,) = manifest.libraries()
    with _own_cache(folder / "cache"):
        binding = runtimes.get(manifest.runtime.name).BINDING
        shutil.copy2(native.library(binding, OpSource(source, PROJECT.namespace)), copy / name)
    digests, sizes = integrity.listing(copy)
    manifests.write(manifest.model_copy(update={"files": digests, "sizes": sizes}), copy)
    return copy


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Builds in a cache of its own: the library has the namespace of the project's."""
    before = os.environ.get("DEPLOYPIPE_CACHE")
    os.environ["DEPLOYPIPE_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["DEPLOYPIPE_CACHE"]
        if before is not None:
            os.environ["DEPLOYPIPE_CACHE"] = before


def _profile(bundle: Path, protocol: Protocol, out: Path) -> Report:
    settings = run.Settings(out, protocol, scenario_s=0, resume=False, observe=lambda _device, _what: None)
    report = run.profile([bundle], devices.chosen(["local"]), settings)
    report.write(out)
    return report


def table(title: str, found: Comparison) -> Table:
    """Makes the table of a comparison."""
    made = Table(title=title)
    for name in ("figure", "old", "new", "ratio", "interval", "noise floor", "status"):
        made.add_column(name, justify="left" if name in {"figure", "status"} else "right")
    for row in found.rows:
        ratio = row.ratio
        told = (f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}") if ratio else ("", "")
        made.add_row(row.figure, f"{row.old:,.4g}", f"{row.new:,.4g}", *told, f"{row.floor:.1%}", row.status)
    return made
