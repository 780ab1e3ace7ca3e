"""From the checksum a definition names to the module that knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from appliance.checksums.declared import DeclaredChecksum
from appliance.checksums.denso import denso_from_params
from appliance.checksums.dsg import Dq250, Dq381, Haldex
from appliance.checksums.edc15 import Edc15
from appliance.checksums.gm_e38 import GmE38
from appliance.checksums.hitachi_m32r import hitachi_from_params
from appliance.checksums.me7 import Me7
from appliance.checksums.med17 import Med17
from appliance.checksums.ms43 import Ms43
from appliance.checksums.nissan import NissanAlt2, NissanStd
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumModule
from appliance.checksums.simos import Simos

_FAMILIES: dict[str, Callable[[Params], ChecksumModule]] = {
    "crc16-at": partial(DeclaredChecksum.from_params, "crc16-at"),
    "crc32-at": partial(DeclaredChecksum.from_params, "crc32-at"),
    "edc15-v4.1": Edc15.from_params,
    "gm-e38": GmE38.from_params,
    "me7": Me7.from_params,
    "med17": Med17.from_params,
    "nissan-alt2": NissanAlt2.from_params,
    "nissan-std": NissanStd.from_params,
    "siemens-ms43": Ms43.from_params,
    "simos": Simos.from_params,
    "subaru-denso": denso_from_params,
    "subaru-hitachi-m32r": hitachi_from_params,
    "sum32-at": partial(DeclaredChecksum.from_params, "sum32-at"),
    "vw-dq250": Dq250.from_params,
    "vw-dq381": Dq381.from_params,
    "vw-haldex5": Haldex.from_params,
}

FAMILIES = tuple(sorted(_FAMILIES))
"""Names a definition may use."""


def module_for(name: str, params: Mapping[str, object], image_bytes: int | None = None) -> ChecksumModule:
    """Return the module a definition asks for; raises ValueError naming the unknown family or parameter.

    With the length of the image that it is to be over, also a parameter that points out of it.
    """
    build = _FAMILIES.get(name)
    if build is None:
        raise ValueError(f"unknown checksum module {name!r}; known are {', '.join(FAMILIES)}")
    given = Params(name, params, image_bytes)
    module = build(given)
    given.done()
    return module
