"""Every change of an operator in ONNX's registry is known: by an adapter, or because the old form means the same."""

import os
import subprocess
from collections import defaultdict
from pathlib import Path

import onnx
import pytest
from onnx.defs import OpSchema

REPO = Path(__file__).resolve().parents[2]
DUMP = Path(os.environ.get("TERCEL_BUILD", REPO / "build")) / "tests" / "opsets_dump"
OLDEST_OPSET = 7

SAME = {
    ("Constant", 11): "value is no longer required: what has it means the same",
    ("Gemm", 11): "C may be left out",
    ("OptionalHasElement", 18): "the input may be left out",
}
"""Changes that are more than an optional input, output or attribute at the end, and that change no old model."""

Tables = tuple[dict[str, tuple[int, int]], dict[str, set[int]]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    operators, adapters = {}, defaultdict(set)
    for line in subprocess.run([DUMP], check=True, capture_output=True, text=True).stdout.splitlines():
        kind, name, *numbers = line.split()
        if kind == "op":
            operators[name] = (int(numbers[0]), int(numbers[1]))
        else:
            adapters[name].add(int(numbers[0]))
    return operators, adapters


@pytest.fixture(scope="module")
def registry() -> dict[str, dict[int, OpSchema]]:
    versions: dict[str, dict[int, OpSchema]] = defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions[schema.name][schema.since_version] = schema
    return versions


def steps(versions: dict[int, OpSchema]):
    """Each version above the oldest opset that is read, and the one before it."""
    ordered = sorted(versions)
    return [(old, new) for old, new in zip(ordered, ordered[1:]) if new > OLDEST_OPSET]


def only_grows(old: OpSchema, new: OpSchema) -> bool:
    """What an old node says, it says in the new version too: nothing is taken away, made another, or needed."""

    def places(old_places, new_places) -> bool:
        same = all(a.option == b.option for a, b in zip(old_places, new_places))
        more = new_places[len(old_places) :]
        return (
            same
            and len(new_places) >= len(old_places)
            and all(p.option == OpSchema.FormalParameterOption.Optional for p in more)
        )

    def attribute(name: str) -> bool:
        before, after = old.attributes[name], new.attributes.get(name)
        return (
            after is not None
            and before.type == after.type
            and before.required == after.required
            and before.default_value == after.default_value
        )

    added = [new.attributes[name] for name in new.attributes if name not in old.attributes]
    return (
        places(old.inputs, new.inputs)
        and places(old.outputs, new.outputs)
        and all(attribute(name) for name in old.attributes)
        and not any(each.required for each in added)
    )


def test_definitions_are_the_newest(tables: Tables, registry):
    operators, _ = tables
    assert len(operators) > 150
    wrong = {name: since for name, (since, _) in operators.items() if since != max(registry[name])}
    assert not wrong, "`since` is not the newest version"


def test_each_step_has_an_adapter_or_means_the_same(tables: Tables, registry):
    operators, adapters = tables
    unknown = [
        f"{name} {old} → {new}"
        for name in sorted(operators)
        for old, new in steps(registry[name])
        if new not in adapters[name]
        and (name, new) not in SAME
        and not only_grows(registry[name][old], registry[name][new])
    ]
    assert not unknown, "neither an adapter nor a statement that the old form means the same"


def test_each_statement_is_needed(registry):
    for (name, new), reason in SAME.items():
        old = max(version for version in registry[name] if version < new)
        assert not only_grows(registry[name][old], registry[name][new]), (name, new, reason)


def test_stamps_are_versions_that_mean_the_same(tables: Tables, registry):
    """From `compatible_since` on nothing was adapted, and an older reader knows every attribute that has no default."""
    operators, adapters = tables
    for name, (since, compatible) in operators.items():
        assert not [below for below in adapters[name] if below > max(compatible, 13)], name
        assert compatible <= since, name
        at_stamp = max(
            version for version in registry[name] if version <= max(compatible, 13) or version == min(registry[name])
        )
        newest = registry[name][since]
        needed = [key for key, each in newest.attributes.items() if each.required]
        assert all(key in registry[name][at_stamp].attributes for key in needed), name


def test_each_adapter_stands_at_a_version(tables: Tables, registry):
    _, adapters = tables
    for name, versions in adapters.items():
        assert versions <= set(registry[name]), name
