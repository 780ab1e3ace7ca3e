"""Checksums of ECU images: verify always, correct only what verified on the stock image."""

from appliance.checksums.errors import ChecksumRefused, ChecksumUnsupported
from appliance.checksums.judge import Judgement, judge
from appliance.checksums.registry import FAMILIES, module_for
from appliance.checksums.report import ChecksumBlock, ChecksumModule, ChecksumReport, Verdict
from appliance.checksums.stock import correct_like_stock

__all__ = [
    "FAMILIES",
    "ChecksumBlock",
    "ChecksumModule",
    "ChecksumRefused",
    "ChecksumReport",
    "ChecksumUnsupported",
    "Judgement",
    "Verdict",
    "correct_like_stock",
    "judge",
    "module_for",
]
