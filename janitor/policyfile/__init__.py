"""The policy language as text: policy files in, one PolicySet or every mistake out.

Reads only the files that it is handed; decides nothing.
"""

from janitor.policyfile.load import load
from janitor.policyfile.registries import Kinds

__all__ = ["Kinds", "load"]
