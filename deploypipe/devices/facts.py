"""What a device is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class DeviceFacts(BaseModel):
    """What a device is; None and empty strings where it could not be read.

    Attributes:
        platform: `linux-x86_64`, `linux-aarch64`, `android-arm64`.
        cpu: Its name.
        cores: Logical processors that may be used.
        memory_mb: Of the whole device, 10^6 bytes.
        system: Kernel or release.
        governor: Of the first core's frequency.
        mhz: Highest frequency.
        load: Average of one minute when the profile began.
        battery: `72 %, discharging`.
        celsius: The warmest sensor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: str
    cpu: str = ""
    cores: int | None = None
    memory_mb: float | None = None
    system: str = ""
    governor: str = ""
    mhz: float | None = None
    load: float | None = None
    battery: str = ""
    celsius: float | None = None
