"""Target: a platform with its artifacts and limits, read from a TOML file."""

from __future__ import annotations

import platform as host
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploypipe.errors import DeployError, nearest
from deploypipe.precision import NORMALIZED_ERRORS

SHIPPED = Path(__file__).parent / "targets"
HOST, BROWSER = "host", "browser"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ArtifactRequest(_Strict):
    """One artifact that a target wants.

    Attributes:
        runtime: A name of `deploypipe runtimes`.
        precision: A precision that the runtime offers.
        decomposed: Custom ops are replaced by their reference, for a stock runtime without our kernels; None
            leaves it to the runtime.
        kept_float: Layers that stay float in a precision other than fp32, by their paths in the model.
    """

    runtime: str
    precision: str = "fp32"
    decomposed: bool | None = None
    kept_float: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Runtime and form, in words."""
        return self.runtime + {None: "", True: ", decomposed", False: ", native"}[self.decomposed]

    @property
    def folder(self) -> str:
        """Name of its bundle's folder."""
        suffix = {None: "", True: "-decomposed", False: "-native"}[self.decomposed]
        return f"{self.runtime}-{self.precision}{suffix}"


class Limits(_Strict):
    """What a bundle must keep to pass its verdict.

    Attributes:
        normalized_error: RMS error over the spread of the reference, for float outputs.
        unequal_share: Share of unequal elements, for integer outputs.
        accuracy_drop: Points of the model's own score lost against eager PyTorch.
    """

    normalized_error: float = Field(default=1e-4, gt=0)
    unequal_share: float = Field(default=1e-4, ge=0)
    accuracy_drop: float = Field(default=0.5, ge=0)


class LimitRequest(_Strict):
    """What a target says of limits; the attributes are those of `Limits`.

    Attributes:
        normalized_error: None takes the value of the precision.
    """

    normalized_error: float | None = Field(default=None, gt=0)
    unequal_share: float = Field(default=1e-4, ge=0)
    accuracy_drop: float = Field(default=0.5, ge=0)

    def resolve(self, precision: str) -> Limits:
        """Returns the limits of an artifact of a precision."""
        error = self.normalized_error or NORMALIZED_ERRORS[precision]
        return Limits(normalized_error=error, unequal_share=self.unequal_share, accuracy_drop=self.accuracy_drop)


class Budgets(_Strict):
    """What a bundle may cost; one that costs more fails its verdict.

    Attributes:
        size_mb: Largest artifact file, in MB of 1,000,000 bytes. Op libraries do not count: an app has them once, for
            all of its models.
        p90_ms: Largest 90th percentile of the time of one inference on the target's device, with the smallest golden
            vector, in milliseconds.
    """

    size_mb: float | None = Field(default=None, gt=0)
    p90_ms: float | None = Field(default=None, gt=0)

    def describe(self) -> list[str]:
        """Returns each budget as one would say it."""
        size = [] if self.size_mb is None else [f"artifact of {self.size_mb:g} MB at most"]
        time = [] if self.p90_ms is None else [f"p90 of {self.p90_ms:g} ms at most"]
        return size + time


class Target(_Strict):
    """A platform that bundles are built for.

    Attributes:
        name: Folder name of its bundles.
        description: One line for `deploypipe targets`.
        platform: `host`, or the platform that the bundles are for; `browser` is one without op libraries.
        device: Where times count: `local` is this machine; None where nothing here is such a device.
        max_size: Upper bound of dynamic axes for runtimes that plan memory ahead.
        batches: Sizes of the batch for artifacts that cannot leave it open.
        artifacts: What to build.
        limits: What the verdict demands.
        budgets: What the verdict allows it to cost.

    Raises:
        DeployError: There is a budget of time, and no device to measure it on.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    description: str = ""
    platform: str = HOST
    device: Literal["local"] | None = None
    max_size: int = Field(default=64, ge=1)
    artifacts: tuple[ArtifactRequest, ...] = Field(alias="artifact", min_length=1)
    batches: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1,), min_length=1)
    limits: LimitRequest = LimitRequest()
    budgets: Budgets = Budgets()

    @model_validator(mode="after")
    def _has_a_device_for_its_budget(self) -> Self:
        if self.budgets.p90_ms is not None and self.device is None:
            raise DeployError(
                f"The target '{self.name}' has a budget of {self.budgets.p90_ms:g} ms and no device to measure it on",
                'Add `device = "local"` if its bundles run on machines like this one, else take p90_ms away.',
            )
        return self

    def within(self, budgets: Budgets) -> Target:
        """Returns the target with other budgets.

        Raises:
            DeployError: They hold one of time, and there is no device to measure it on.
        """
        return Target.model_validate(self.model_dump(by_alias=True) | {"budgets": budgets})


def platform_of(target: Target) -> str:
    """Returns the platform of a target's bundles: that of this machine where it names none."""
    return this_platform() if target.platform == HOST else target.platform


def this_platform() -> str:
    """Returns the platform of this machine: `linux-x86_64`, `linux-aarch64`, `darwin-arm64`, ..."""
    return f"{host.system().lower()}-{host.machine().lower()}"


def shipped() -> dict[str, Path]:
    """Returns the targets that come with the project, by name."""
    return {path.parent.name: path for path in sorted(SHIPPED.glob("*/target.toml"))}


def load(name_or_path: str) -> Target:
    """Reads a shipped target by name, or any target by the path of its TOML file.

    Raises:
        DeployError: The target is unknown, not TOML, or has an unknown key or a wrong value.
    """
    known = shipped()
    path = known.get(name_or_path) or Path(name_or_path)
    if not path.is_file():
        raise DeployError(f"There is no target '{name_or_path}'", nearest(name_or_path, list(known)))
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} is not TOML: {error}", "Mend the file at that place.") from None
    return parse(table, str(path))


def parse(table: dict[str, Any], origin: str) -> Target:
    """Validates the table of a target file; `origin` stands in the error text."""
    try:
        return Target.model_validate(table)
    except ValidationError as error:
        raise _explain(error, origin) from None


def _explain(error: ValidationError, origin: str) -> DeployError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return DeployError(f"{origin} has an unknown key '{'.'.join(where)}'", nearest(where[-1], _keys(where)))
    return DeployError(f"{origin}: '{'.'.join(where)}' is wrong: {first['msg']}", "Correct that value.")


def _keys(where: list[str]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "artifact": ArtifactRequest,
        "limits": LimitRequest,
        "budgets": Budgets,
    }
    model = tables.get(where[0], Target) if len(where) > 1 else Target
    return [field.alias or name for name, field in model.model_fields.items()]


def host_target(runtimes: list[str], precision: str, decomposed: bool | None = None) -> Target:
    """Makes the target of `--runtime` without `--target`: this machine, one artifact per runtime."""
    artifacts = [{"runtime": name, "precision": precision, "decomposed": decomposed} for name in runtimes]
    return parse({"name": "host", "device": "local", "artifact": artifacts}, "--runtime")
