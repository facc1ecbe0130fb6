"""Small runs of the fuzzers, with fixed seeds; the commands in their files run as many cases as are asked for."""

import fuzz_model_files
import fuzz_run_files
import fuzz_tables
import fuzzing


def test_spoiled_model_files_load_or_are_refused() -> None:
    outcomes, faults = fuzzing.run(fuzz_model_files.make, fuzz_model_files.check, range(1500), 7, name="model.mlpx")
    assert faults == []
    assert sum(outcomes.values()) == 1500
    assert min(outcomes[name] for name in ("refused", "loads", "predicts a table")) > 10, "the cases show too little"


def test_spoiled_checkpoints_and_steps_are_used_or_refused() -> None:
    outcomes, faults = fuzzing.run(fuzz_run_files.make, fuzz_run_files.check, range(400), 3, name="run")
    assert faults == []
    assert min(outcomes[name] for name in ("refused", "went on", "replayed")) > 10, "the cases show too little"


def test_strange_tables_are_learned_or_refused() -> None:
    make, check, bounds = fuzz_tables.make, fuzz_tables.check, fuzz_tables.BOUNDS
    outcomes, faults = fuzzing.run(make, check, range(300), 0, name="table.csv", bounds=bounds)
    assert faults == []
    assert min(outcomes[name] for name in ("not read", "not prepared", "trained")) > 10, "the cases show too little"
