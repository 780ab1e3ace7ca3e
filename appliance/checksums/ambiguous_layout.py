"""A checksum whose public descriptions disagree: the reading that verifies the image is the right one."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.checksums.errors import ChecksumUnsupported
from appliance.checksums.report import ChecksumModule, ChecksumReport, Verdict
from appliance.contract.phrases import phrase


@dataclass(frozen=True)
class EitherReading:
    """Tries every reading of one family; `settled_by` fixes the one that fits a stock image."""

    readings: tuple[ChecksumModule, ...]

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return self.readings[0].family

    def verify(self, image: bytes) -> ChecksumReport:
        """Check the image under the reading that fits it best."""
        return self.settled_by(image).verify(image)

    def correct(self, image: bytes) -> bytes:
        """Correct under the only reading that fits best; raises ChecksumUnsupported on a tie."""
        best = max(_fit(reading, image) for reading in self.readings)
        tied = [reading for reading in self.readings if _fit(reading, image) == best]
        corrected = {reading.correct(image) for reading in tied}
        if len(corrected) != 1:
            raise ChecksumUnsupported(self.family, phrase("checksum.ambiguous"))
        return corrected.pop()

    def settled_by(self, stock: bytes) -> ChecksumModule:
        """Return the reading under which most of the stock image's checksums hold."""
        return max(self.readings, key=lambda reading: _fit(reading, stock))


def _fit(reading: ChecksumModule, image: bytes) -> tuple[bool, int]:
    report = reading.verify(image)
    good = sum(block.verdict is Verdict.OK for block in report.blocks)
    return report.verdict is Verdict.OK, good
