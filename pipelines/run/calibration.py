"""The calibration of an output: put once by its first run, read by every later one, and told in every footer.

So all parts of an output are quantized alike, however many runs made them. Where the file is lost it is restored from
the footer of a part.
"""

from __future__ import annotations

import json

from pipelines.errors import StoreError
from pipelines.model.calibration import Calibrated
from pipelines.model.quantize import ranges_to_text
from pipelines.store.location import Conflict, Location
from pipelines.store.parts import PartEntry, list_parts, read_facts

KEY = "_manta/calibration.json"
FACTS, RANGES = "manta.calibration", "manta.ranges"


def find_calibration(output: Location) -> Calibrated | None:
    """The calibration of an output, from one of its parts where the file is lost; None where there is none yet."""
    try:
        return Calibrated.from_json(output.read(KEY))
    except FileNotFoundError:
        part = next(list_parts(output), None)
        return settle(output, _from_footer(output, part)) if part else None
    except ValueError as error:
        raise StoreError(
            f"{output.join(KEY)} cannot be read ({error}), so that new vectors could not be compared with those there: "
            "remove it and run again, and it is restored from the parts"
        ) from error


def settle(output: Location, ours: Calibrated) -> Calibrated:
    """Put a calibration; of two the first stays, and is given back."""
    try:
        output.put_if(KEY, ours.to_json(), None)
    except Conflict:
        return Calibrated.from_json(output.read(KEY))
    return ours


def footer_of(calibrated: Calibrated) -> dict[str, str]:
    """What a part's footer says of it; ``manta.ranges``, for int8, is base64 of float32[2, dim]: least, greatest."""
    ranges = {RANGES: ranges_to_text(calibrated.quantizer.ranges)} if calibrated.output_dtype == "int8" else {}
    return {FACTS: json.dumps(calibrated.facts()), **ranges}


def _from_footer(output: Location, part: PartEntry) -> Calibrated:
    facts = json.loads(read_facts(output, part, [FACTS])[0])
    ranges = read_facts(output, part, [RANGES])[0] if facts["output_dtype"] == "int8" else ""
    return Calibrated.from_facts(facts, ranges)
