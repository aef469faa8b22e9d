"""Every error is one message that survives the way between processes, and has its exit code."""

import pickle

import pytest

from pipelines import errors

CODES = {"SpecError": 2, "ShardError": 3, "StoreError": 1, "FingerprintError": 2, "LeaseError": 4, "GateError": 1}
CODES |= {"DivergenceError": 1}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_errors_survive_pickling_and_have_their_exit_code(name, code):
    error = getattr(errors, name)("it failed at 7: write 8")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == "it failed at 7: write 8"
    assert again.exit_code == code
    assert isinstance(again, errors.MantaError)
