"""What holds where nobody says anything: defaults and limits that a master or a box relies on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.contract import records
from appliance.contract.manifest import GrantOp
from appliance.vault import durable, keys, package, signing
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse
from appliance.vault.keys import KeyRing, MasterKeys
from appliance.vault.package import GrantLimits, TunedFile, inspect_package, open_package
from tests.support.packages import packed

NOW_S = 1_790_000_000


def test_a_grant_allows_three_writes_unless_it_says_otherwise(
    master: MasterKeys, slave_keys: KeyRing, tuned: TunedFile, use: GrantUse
) -> None:
    limits = GrantLimits(nbf_s=NOW_S, exp_s=NOW_S + 1)
    built = packed(master, slave_keys.device_public(), tuned, limits, NOW_S)
    grant = inspect_package(built, slave_keys).grant
    assert (grant.op, grant.max_starts) == (GrantOp.WRITE, 3)
    for starts in range(3):
        open_package(built, slave_keys, replace(use, starts=starts))
    with pytest.raises(VaultError, match="VAULT_GRANT_STARTS"):
        open_package(built, slave_keys, replace(use, starts=3))


def test_the_first_version_of_a_file_is_one_and_it_has_no_parent_nor_consents(tuned: TunedFile) -> None:
    fields = TunedFile.__dataclass_fields__
    assert [fields[name].default for name in ("version", "consents", "parent")] == [1, (), None]


def test_a_use_is_a_first_write_that_recovers_nothing(use: GrantUse) -> None:
    plain = GrantUse(now_s=1, job_id="j", ecu=use.ecu)
    assert (plain.op, plain.starts, plain.newest_version, plain.recovering) == (GrantOp.WRITE, 0, 0, False)


def test_limits_that_keep_a_hostile_file_small() -> None:
    assert records.SEGMENT_MAX_BYTES == 262_144
    assert records.SEAL_OVERHEAD_MAX_BYTES == 4096
    assert records.IMAGE_MAX_BYTES == 33_554_432
    assert package.PACKAGE_MAX_BYTES == 37_748_736
    assert package.DIFF_CHUNK_BYTES == 4096
    assert signing.JWS_MAX_BYTES == 122_880


def test_what_is_private_says_so() -> None:
    assert (durable.DIRECTORY_MODE, durable.FILE_MODE, keys.KEY_TIER) == (0o700, 0o600, 0)
