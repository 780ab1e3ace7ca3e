"""What the vault may say, in English: keys, sealed files, packages and the disk below them."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "VAULT_RECIPIENT_INVALID": Words(
        "the key to seal this file to is missing or not valid",
        "Pair the box with its master again.",
    ),
    "VAULT_CANNOT_OPEN": Words(
        "a sealed file could not be opened ({technical_text}): it is damaged or sealed to another box",
        "Do not use this file. Fetch it from the file service again, or read the ECU again.",
    ),
    "VAULT_KEYS_MISSING": Words(
        "there is no key at {path}",
        "Restore the key directory from its backup. Without it the sealed files of this box stay closed.",
    ),
    "VAULT_ROLE_MISMATCH": Words(
        "this box was made a {own_role}, and {asked_role} was asked for",
        "Start the engine in the role the keys were made for; a box does not change its role.",
    ),
    "VAULT_MASTER_NOT_PAIRED": Words(
        "a master-role box is its own master",
        "Pair boxes in the slave role with this one instead.",
    ),
    "VAULT_KEYS_EXPOSED": Words(
        "others can read {path} (mode {mode:04o})",
        "Treat these keys as known to others: re-pair the box, or set the modes to 0700 and 0600.",
    ),
    "VAULT_KEYS_DAMAGED": Words(
        "the keys in {directory} are damaged",
        "Restore the key directory from its backup. Without it the sealed files of this box stay closed.",
    ),
    "VAULT_KEYS_EXIST": Words(
        "there are keys in {directory} already",
        "Nothing was overwritten. Use the keys that are there.",
    ),
    "VAULT_PACKAGE_INVALID": Words(
        "the package is refused: {why}",
        "Do not use this file. Ask the file service for it again.",
    ),
    "VAULT_NOT_PAIRED": Words(
        "this box is not paired with a master, so it cannot tell whose file this is",
        "Pair the box with its master, then repeat the step.",
    ),
    "VAULT_PACKAGE_MISSING": Words(
        "there is no file {source}",
        "Check the name of the package.",
    ),
    "VAULT_SLAVE_NO_EXPORT": Words(
        "a slave-role box does not export plaintext",
        "Send the sealed file to the master and export it there.",
    ),
    "VAULT_EXPORT_MEMORIES": Words(
        "the file holds the memories {memories}, and an export is of one of them",
        "Name it: `pitbox export --memory NAME`.",
    ),
    "VAULT_EXPORT_GAPS": Words(
        "there is a gap between {below} and {above}, and a .bin has no addresses",
        "Export as Intel HEX or S-record instead.",
    ),
    "VAULT_IMAGE_MISSING": Words(
        "there is no stored file {file}",
        "`pitbox originals` lists the stored originals: choose one of them.",
    ),
    "VAULT_IMAGE_INCOMPLETE": Words(
        "the stored file {file} is not complete",
        "Finish the read, then repeat the step.",
    ),
    "VAULT_IMAGE_NEWER": Words(
        "the record of the stored file {file} is newer than this box: {why}",
        "Update the box: a newer version wrote this file.",
    ),
    "VAULT_IMAGE_DAMAGED": Words(
        "the record of the stored file {file} is refused: {technical_text}",
        "Do not use this file. Fetch it from the file service again, or read the ECU again.",
    ),
    "VAULT_GRANT_SEALED": Words(
        "the grant does not open on this box",
        "Ask the file service for a new grant for this box.",
    ),
    "VAULT_SIGNER_UNKNOWN": Words(
        "the {document} is not signed by the master this box is paired with",
        "Ask the master this box is paired with for the file, or pair the box again.",
    ),
    "VAULT_SCHEMA_INVALID": Words(
        "the signed {document} does not have the form this version understands",
        "Update the box, or ask the file service for the file again.",
    ),
    "VAULT_KEY_INVALID": Words(
        "a private age key is not valid",
        "Restore the key directory from its backup, or ask the file service for a new grant.",
    ),
    "VAULT_SECRET_DAMAGED": Words(
        "the owner's {name!r} for {definition} is damaged on the disk",
        "Put it there again: `pitbox secrets put {name} FILE --definition {definition}`.",
    ),
    "VAULT_SECRET_STRANGE": Words(
        "{path} is no file of at most {most_bytes} bytes",
        "Take it away, then `pitbox secrets put {name} FILE`.",
    ),
    "VAULT_SECRET_NEWER": Words(
        "the owner's {name!r} was stored by a newer build: {why}",
        "Update the box, or put the secret there again.",
    ),
    "VAULT_BLOB_MISSING": Words(
        "the sealed segment for {place} is not in the store",
        "Fetch the file from the file service again, or read the ECU again.",
    ),
    "VAULT_BLOB_CHANGED": Words(
        "the sealed segment for {place} is refused: {why}",
        "Do not use this file. Fetch it from the file service again, or read the ECU again.",
    ),
    "VAULT_DISK_FULL": Words(
        "the disk is full: {path}",
        "Free space on the box, then repeat the step. `df -h` and `df -i` tell whether bytes are used up or "
        "names of files.",
    ),
    "VAULT_DISK_READ_ONLY": Words(
        "the disk refuses access: {path}",
        "Check the storage card: it may be worn out or locked.",
    ),
    "VAULT_DISK_FAILED": Words(
        "the disk failed ({technical_text}): {path}",
        "Check the storage card, then repeat the step.",
    ),
    "VAULT_SIGNATURE_INVALID": Words(
        "the signature of the {document} is refused: {why}",
        "Do not use this file. Ask the file service for it again.",
    ),
    "VAULT_GRANT_DEVICE": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_EPOCH": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_TIER": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_FILE": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_MANIFEST": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_JOB": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_ECU": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_OP": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_VERSION": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_NOT_YET": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_EXPIRED": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
    "VAULT_GRANT_STARTS": Words(
        "the grant does not cover this: {why}",
        "Ask the file service for a new grant for this box, this job and this ECU.",
    ),
}

PHRASES: dict[str, str] = {
    "named": "{name}",
    "malformed": "{technical_text}",
    "blob.sealed_bytes_other": "its sealed bytes are not those that were recorded",
    "blob.content_other": "its content is not what was recorded",
    "image.part_missing": "missing {place}",
    "image.never_read": "it was never read",
    "grant.device": "it is for the box {wanted}, and this is {own}",
    "grant.epoch": "it is for pairing {wanted} of this box, and this is pairing {own}",
    "grant.tier": "it is for key protection tier {wanted}, and this box has {own}",
    "grant.file": "it is for the file {wanted}, and this is {own}",
    "grant.manifest": "it is for another manifest than the one in the package",
    "grant.job": "it is for the job {wanted}, and this is {own}",
    "grant.ecu": "it is for the ECU {wanted}, and this is {own}",
    "grant.numbers": "hw {hw}, sw {sw}, boot {boot}, VIN hash {vin_hash}",
    "grant.op": "it allows {allowed}, and {asked} was asked for",
    "grant.version": "it is version {version}, and version {newest} was begun already",
    "grant.not_yet": "it is not valid yet: valid from {from_s}, now {now_s} (Unix seconds)",
    "grant.expired": "it has expired: valid until {until_s}, now {now_s} (Unix seconds)",
    "grant.starts": "it allows {most} starts, and {made} were made",
    "signature.not_the_masters": "it is not the master's",
    "secret.needed": "a write that is not over began with another one",
    "package.too_long": "it has {bytes} bytes, more than {most_bytes}",
    "package.member_too_long": "{member} has {bytes} bytes, more than {most_bytes}",
    "package.member_missing": "{member} is missing",
    "package.other_members": "its members are not those the manifest names",
}
