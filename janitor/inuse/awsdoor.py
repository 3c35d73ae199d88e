"""How sources on AWS come in: by the keys of the policy, and into the account that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from janitor.errors import Denied
from janitor.inuse.interface import Context
from janitor.inuse.keys import AwsKeys
from janitor.net.aws import Aws
from janitor.net.caller import Caller


def place(keys: AwsKeys) -> str:
    """Say which region, and whose."""
    whose = keys.account or keys.role_arn or keys.profile
    return f"{keys.region} of {whose}" if whose else keys.region


@contextmanager
def door(keys: AwsKeys, context: Context, caller: Caller) -> Iterator[Aws]:
    """Open one region of an account for as long as it is read; raises Denied where it is another account."""
    aws = Aws(
        region=keys.region,
        environ=context.environ,
        profile=keys.profile,
        role_arn=keys.role_arn,
        external_id=keys.external_id,
        endpoint=keys.endpoint,
    )
    try:
        if keys.account is not None:
            identity = aws.identity(caller)
            if identity.account != keys.account:
                raise Denied(
                    f"{identity.arn} is of account {identity.account}, not of {keys.account};"
                    " set `role_arn` or `profile`"
                )
        yield aws
    finally:
        aws.close()
