#!/usr/bin/env bash
# pip --require-hashes takes an older file whose hash its index states rather than a newer one that
# lies in a --find-links folder, though the hashes of both are allowed.
#
# A guess would be that pip takes the newest version whose file has an allowed hash, as it takes the
# newest one without hashes. But files in a folder state no hash before they are read, and pip ranks
# those whose link has an allowed one first. A lock with the hashes of torch 2.13.0 and 2.13.0+cpu
# thus installs the CUDA build of several GB, beside a wheel of 2.13.0+cpu on the disk; a lock of
# 2.13.0+cpu alone, installed first, takes the wheel.
#
# Versions: pip 23.2.1, Python 3.11. Source: observed here; CandidateEvaluator._sort_key in
# pip/_internal/index/package_finder.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/make.py" <<'PYTHON'
import hashlib
import pathlib
import sys
import zipfile

root = pathlib.Path(sys.argv[1])
hashes = []
for version, place in (("1.0", "index/made"), ("1.0+cpu", "links")):
    path = root / place / f"made-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    info = f"made-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: made\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
name = "made-1.0-py3-none-any.whl"
page = f'<!DOCTYPE html><a href="{name}#sha256={hashes[0]}">{name}</a>'
(root / "index/made/index.html").write_text(page)
both = " ".join(f"--hash=sha256:{one}" for one in hashes)
(root / "lock.txt").write_text(f"made==1.0 {both}\n")
(root / "plain.txt").write_text("made==1.0\n")
PYTHON
python3 "$folder/make.py" "$folder"
taken() {
  PIP_CONFIG_FILE=/dev/null PIP_EXTRA_INDEX_URL= PIP_FIND_LINKS= "$folder/venv/bin/python" -m pip \
    install --dry-run --no-deps --disable-pip-version-check --index-url "file://$folder/index" \
    --find-links "$folder/links" "$@" | grep -o 'made-1.0[^ ]*' | tail -n 1
}
"$folder/venv/bin/python" -m pip --version | cut -d' ' -f1-2
without=$(taken -r "$folder/plain.txt")
with=$(taken --require-hashes -r "$folder/lock.txt")
echo "without hashes: $without"
echo "with the hashes of both: $with, expected: $without"
[ "$without" = made-1.0+cpu ] && [ "$with" = made-1.0 ]
