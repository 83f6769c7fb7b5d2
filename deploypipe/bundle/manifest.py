"""The manifest of a bundle: what it holds, what it needs, and what it was found to do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

from packaging.version import Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploypipe import processing
from deploypipe.errors import DeployError
from deploypipe.layers import LayerState
from deploypipe.processing import Processing
from deploypipe.target import ArtifactRequest, Budgets, Limits
from deploypipe.tensors import AxisRange, TensorInfo

FILE, GOLDEN, SIGNATURE = "manifest.json", "golden.safetensors", "model.sig"
FORMAT: Literal[1] = 1
# What a reader takes at most: of the manifest, and of what it lists.
MAX_BYTES, MAX_FILES = 16_000_000, 10_000
_MAX_PLACE = 200  # letters of where something is wrong
# The metrics that are not of outputs: of a score, of the artifact, of a run; the last where runs are too few for a p90.
DROP, SIZE, P90, SLOWEST = "drop in points", "size in MB", "p90 in ms", "slowest run in ms"


def _checked_version(text: str) -> str:
    Version(text)
    return text


_Version = Annotated[str, AfterValidator(_checked_version)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeInfo(_Strict):
    """The runtime of a bundle.

    Attributes:
        name: A name of `deploypipe runtimes`.
        package: The Python distribution that executes the artifact.
        min_version: The oldest version that the artifact runs on.
        built_with: The version that it was made and verified with.
        notes: Facts of the lowering, such as the opset or the instruction set.
    """

    name: str
    package: str
    min_version: _Version
    built_with: str
    notes: dict[str, str] = {}


class OpInfo(_Strict):
    """A custom op of the model, and how it runs in this bundle.

    Attributes:
        name: `namespace::op`.
        path: What the verification found: `native`, `inlined` or `decomposed`.
        library: The op library in the bundle that provides it, or None.
        abi: Package and version that the library was built for.
        reason: Why there is no library where one could be.
    """

    name: str
    path: str
    library: str | None = None
    abi: dict[str, _Version] = {}
    reason: str = ""


class Check(_Strict):
    """One comparison: an output with its golden vector, a score with that of eager PyTorch, a cost with its budget.

    Attributes:
        what: The form that ran and the case, such as `native, batch=5`, or how it was measured.
        output: Name of the output or of the score, `artifact` or `latency`.
        metric: Name of the metric.
        value: What was measured; None when it is not a finite number.
        limit: The largest value that passes.
        passed: Whether it did.
    """

    what: str
    output: str
    metric: str
    value: float | None
    limit: float
    passed: bool

    @classmethod
    def of(cls, what: str, output: str, metric: str, value: float, limit: float) -> Self:
        """Compares a value with its limit; one that is not finite fails."""
        finite = math.isfinite(value)
        return cls(
            what=what,
            output=output,
            metric=metric,
            value=value if finite else None,
            limit=limit,
            passed=finite and value <= limit,
        )

    def describe(self) -> str:
        """Returns the finding as a sentence part."""
        value = "not finite" if self.value is None else f"{self.value:.3g}"
        return f"{self.output}: {self.metric} {value}, limit {self.limit:.3g} ({self.what})"


class Verdict(_Strict):
    """What verification found.

    Attributes:
        passed: True when every check passed and nothing went wrong.
        checks: Every comparison that was made.
        scores: The model's own scores in this runtime.
        eager_scores: The same scores in eager PyTorch.
        failures: One sentence per failed check or error.
    """

    passed: bool
    checks: tuple[Check, ...] = ()
    scores: dict[str, float] = {}
    eager_scores: dict[str, float] = {}
    failures: tuple[str, ...] = ()

    def parity(self) -> Check | None:
        """Returns the comparison of outputs that came nearest to its limit, or went furthest beyond."""
        return max(
            (check for check in self.checks if check.metric not in (DROP, SIZE, P90, SLOWEST)),
            key=_strain,
            default=None,
        )


def _strain(check: Check) -> float:
    if check.value is None:
        return float("inf")
    return check.value / check.limit if check.limit else check.value


class Manifest(_Strict):
    """Everything that a bundle says about itself.

    Attributes:
        deploypipe_bundle: Version of this format.
        model: Name of the model.
        target: Name of the target.
        platform: Where its op libraries run, such as `linux-x86_64`.
        request: Runtime, precision and form that the target asked for.
        runtime: The runtime that executes it.
        artifact: File name of the artifact.
        ops: The custom ops of the model.
        inputs: In the order of the model's arguments.
        outputs: In the order of the model's results.
        axes: Range of each dynamic axis.
        processing: How an app's images become its inputs, and its outputs classes.
        layers: What became of each layer of the model, in a precision other than fp32.
        limits: What the target demands of it.
        budgets: What the target allows it to cost.
        finite_inputs: The model refuses NaN and infinity.
        sizes: Bytes of each file.
        files: SHA-256 of each file, hex.
        verdict: None only while the bundle is being verified.
        built_by: Versions of the tools.
        key: Digest of all that the bundle was made from.
    """

    deploypipe_bundle: Literal[1]
    model: str
    target: str
    platform: str
    request: ArtifactRequest
    runtime: RuntimeInfo
    artifact: str
    ops: tuple[OpInfo, ...]
    inputs: tuple[TensorInfo, ...] = Field(min_length=1)
    outputs: tuple[TensorInfo, ...] = Field(min_length=1)
    axes: dict[str, AxisRange]
    processing: Processing = Processing()
    layers: tuple[LayerState, ...] = ()
    limits: Limits
    budgets: Budgets = Budgets()
    finite_inputs: bool = False
    sizes: dict[str, Annotated[int, Field(ge=0)]] = Field(max_length=MAX_FILES)
    files: dict[str, str] = Field(max_length=MAX_FILES)
    verdict: Verdict | None = None
    built_by: dict[str, str]
    key: str

    @model_validator(mode="after")
    def _has_what_its_processing_names(self) -> Self:
        processing.check(self.processing, self.inputs, self.outputs, self.axes)
        return self

    def libraries(self) -> tuple[str, ...]:
        """Returns the op libraries of the bundle, each once."""
        return tuple(dict.fromkeys(op.library for op in self.ops if op.library))


def read(bundle: Path) -> Manifest:
    """Reads the manifest of a bundle.

    Raises:
        DeployError: There is none, or it is damaged, too large, or of a newer version.
    """
    path = bundle / FILE
    if not path.is_file():
        raise DeployError(f"{bundle} is not a bundle: it has no {FILE}", "Name the folder that holds it.")
    check_size(path.stat().st_size, bundle)
    return parse(path.read_bytes(), bundle)


def check_size(size: int, bundle: Path) -> None:
    """Refuses a manifest of too many bytes before it is read.

    Raises:
        DeployError: It has more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise DeployError(
            f"The manifest of {bundle} has {size} bytes; {MAX_BYTES} are the most", "Do not trust this bundle."
        )


def parse(content: bytes, bundle: Path) -> Manifest:
    """Reads the content of a manifest; `bundle` stands in the error text.

    Raises:
        DeployError: It is damaged, or of a newer version.
    """
    try:
        table = json.loads(content.decode(), parse_constant=_refuse_constant)
        version = table.get("deploypipe_bundle")
        if isinstance(version, int) and version > FORMAT:
            raise DeployError(
                f"{bundle} has format {version}; this deploypipe reads up to {FORMAT}", "Install a newer deploypipe."
            )
        return Manifest.model_validate(table)
    except (ValueError, AttributeError, RecursionError) as error:
        raise DeployError(f"{bundle / FILE} is damaged: {_said(error)}", "Build the bundle again.") from None


def write(manifest: Manifest, bundle: Path) -> None:
    """Writes the manifest of a bundle."""
    (bundle / FILE).write_text(manifest.model_dump_json(indent=2, by_alias=True) + "\n")


def _refuse_constant(name: str) -> NoReturn:
    """Python would take NaN and Infinity, which are no JSON; no other reader does."""
    raise ValueError(f"{name} is no number")


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:_MAX_PLACE]
        return f"{' '.join(place.split())}: {first['msg']}"
    return str(error)
