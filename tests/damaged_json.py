"""What a JSON file of ours may hold after all: every shape that JSON takes, and none."""

SHAPES = [
    b"", b"[]", b"{}", b"null", b"3", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b'{"seed": NaN}',
    b"\xff\xfe{}", b'{"seed": 0, "seed": 1}', b'{"seed": ' + b"9" * 5000 + b"}", b'{"seed": 1e999}', b"[{}]",
    b"\x00" * 64,
    b'{"schema_version": 2}', b'{"schema_version": 1}', b'{"schema_version": 99}', b'{"schema_version": []}',
]  # fmt: skip
