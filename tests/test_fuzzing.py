"""Small runs of the fuzzers, with fixed seeds; the commands in their files run as many cases as are asked for."""

import fuzz_model_files
import fuzzing


def test_spoiled_model_files_load_or_are_refused() -> None:
    outcomes, faults = fuzzing.run(fuzz_model_files.make, fuzz_model_files.check, range(1500), 7, name="model.mlpx")
    assert faults == []
    assert sum(outcomes.values()) == 1500
    assert min(outcomes[name] for name in ("refused", "loads", "predicts a table")) > 10, "the cases show too little"
